"""``python -P -m sandbox``: the simulators alone, each on its own loopback port.

Prints one JSON line with the ports when everything listens, and ends on SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

from aiohttp import web

from sandbox import control
from sandbox.clock import ClockError
from sandbox.prices import ReplayError
from sandbox.simulators import simulators
from sandbox.world import DEFAULT_REDIRECT_BASE, World, build_world

__all__ = ["main"]

HOST = "127.0.0.1"
_ADVANCE_EVERY_S = 0.02


async def _listen(app: web.Application, port: int) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, HOST, port)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    bound: int = runner.addresses[0][1]
    return runner, bound


async def _advance(world: World) -> None:
    """Advance the exchange regularly, so that orders fill without a request."""
    while True:
        world.exchange.advance()
        await asyncio.sleep(_ADVANCE_EVERY_S)


async def _serve(world: World, ports: dict[str, int]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bound: dict[str, int] = {}
    async with contextlib.AsyncExitStack() as stack:
        extra: list[web.RouteDef] = []
        for name, module in simulators().items():
            runner, bound[name] = await _listen(module.build_app(world), ports[name])
            extra += module.control_routes(world) if hasattr(module, "control_routes") else []
            stack.push_async_callback(runner.cleanup)
            world.urls[name] = f"http://{HOST}:{bound[name]}"
        runner, bound["control"] = await _listen(control.build_app(world, extra), ports["control"])
        stack.push_async_callback(runner.cleanup)
        sys.stdout.write(json.dumps(bound) + "\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as tasks:
            advancing = tasks.create_task(_advance(world))
            await stop.wait()
            advancing.cancel()


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    for name in ("control", *simulators()):
        parser.add_argument(f"--{name}", type=int, default=0, metavar="PORT", help="0: a free one")
    parser.add_argument("--state", type=Path, help="keep everything in this directory")
    parser.add_argument("--replay", type=Path, help="recorded one-minute bars, a csv a symbol")
    parser.add_argument("--clock", help="SIM@WALL*SPEED, ISO times")
    parser.add_argument(
        "--redirect-base",
        default=DEFAULT_REDIRECT_BASE,
        help="where logins of apps without a redirect address lead (default %(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the simulators; return the exit code (1: a failure explained in one line)."""
    options = _arguments(argv)
    try:
        world = build_world(
            clock=options.clock,
            state_dir=options.state,
            replay=options.replay,
            redirect_base=options.redirect_base,
        )
    except (ClockError, ReplayError, OSError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    ports = {name: getattr(options, name) for name in ("control", *simulators())}
    try:
        asyncio.run(_serve(world, ports))
    except OSError as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    finally:
        world.close()
    sys.stderr.write("sandbox: ended in order\n")  # standard output holds the ports alone
    return 0


if __name__ == "__main__":
    sys.exit(main())
