"""Why a strategy enters nothing on an account now, as its page and the question before it say."""

from __future__ import annotations

from core.domain.account import Account
from core.domain.mode import TradingMode, stricter

__all__ = ["kept_out"]

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
