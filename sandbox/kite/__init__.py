"""A simulator of Kite Connect v3, on a port of its own as ``https://api.kite.trade`` is."""

from __future__ import annotations

from sandbox.kite.app import build_app

__all__ = ["build_app"]
