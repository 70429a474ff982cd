"""The Kite application: routes and middlewares."""

from __future__ import annotations

from aiohttp import web

from sandbox.world import World

__all__ = ["build_app"]


def build_app(world: World) -> web.Application:
    """Build the Kite application over the shared world."""
    return web.Application(middlewares=[world.faults.middleware("kite")])
