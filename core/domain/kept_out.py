"""Why a strategy enters nothing now, as its page, its notices and the question before it say."""

from __future__ import annotations

from datetime import datetime

from core.domain.account import Account
from core.domain.mode import TradingMode, stricter
from core.domain.sessions import IST, Schedule

__all__ = ["entries_over", "kept_out", "sends_nothing"]

_BY_MODE = {
    TradingMode.EXIT_ONLY: "exit only: nothing is entered",
    TradingMode.PAUSED: "paused: nothing is sent",
}


def kept_out(account: Account, global_mode: TradingMode) -> str:
    """Return why nothing is entered on an account, a clause; '' where it is."""
    if not account.enabled:
        return "the account is disabled"
    if account.needs_login:
        return "needs a login"
    return _BY_MODE.get(stricter(account.trading_mode, global_mode), "")


def sends_nothing(account: Account, global_mode: TradingMode) -> str:
    """Return why no exit of a strategy leaves an account either, a clause; '' where it does."""
    if not (account.enabled or account.drain):
        return "the account is disabled"
    if account.needs_login:
        return "needs a login"
    is_paused = stricter(account.trading_mode, global_mode) is TradingMode.PAUSED
    return _BY_MODE[TradingMode.PAUSED] if is_paused else ""


def entries_over(
    schedule: Schedule, slot_at: datetime, *, is_closing: bool, is_known_day: bool
) -> str:
    """Return why the clock lets a slot enter nothing, on whatever account; '' where it does.

    Args:
        schedule: The strategy's.
        slot_at: The slot.
        is_closing: Whether the square-off has begun wherever the strategy runs.
        is_known_day: Whether the calendar knows that the exchange trades.
    """
    if not is_known_day:
        return "the calendar does not know the hours of today"
    until = schedule.entry_until
    if until is not None and slot_at.astimezone(IST).time() > until:
        return f"it enters nothing after {until:%H:%M}"
    return "its square-off has begun" if is_closing else ""
