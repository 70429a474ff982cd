"""Fyers through its API v3."""

from __future__ import annotations

from core.adapters.fyers.broker import FyersBroker

__all__ = ["FyersBroker"]
