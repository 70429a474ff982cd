"""Zerodha through Kite Connect v3."""

from __future__ import annotations

from core.adapters.zerodha.broker import ZerodhaBroker

__all__ = ["ZerodhaBroker"]
