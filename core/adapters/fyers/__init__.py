"""Fyers through its API v3."""

from __future__ import annotations

from core.adapters.fyers.broker import FyersBroker
from core.adapters.fyers.profile import FYERS

__all__ = ["FYERS", "FyersBroker"]
