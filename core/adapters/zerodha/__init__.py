"""Zerodha through Kite Connect v3."""

from __future__ import annotations

from core.adapters.zerodha.broker import ZerodhaBroker
from core.adapters.zerodha.profile import ZERODHA

__all__ = ["ZERODHA", "ZerodhaBroker"]
