"""The exchange calendar as committed, dated data."""

from __future__ import annotations

from core.adapters.calendar.trading_calendar import TradingCalendar

__all__ = ["TradingCalendar"]
