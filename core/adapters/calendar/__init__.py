"""The exchange calendar as committed, dated data, and the days that a user adds to it."""

from __future__ import annotations

from core.adapters.calendar.added import FILE_NAME, import_file
from core.adapters.calendar.trading_calendar import TradingCalendar

__all__ = ["FILE_NAME", "TradingCalendar", "import_file"]
