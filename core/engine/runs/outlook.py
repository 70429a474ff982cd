"""What a run may do at this moment, for what users are told before it and of it (rows D2, D6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.domain.account import Account
from core.domain.kept_out import kept_out, sends_nothing
from core.domain.mode import TradingMode
from core.domain.views import AssignmentView
from core.engine.accounts.global_mode import global_mode
from core.engine.orders.limit_use import held_back
from core.engine.orders.shut import why_shut
from core.ports.store import StoreView

__all__ = ["Outlook", "keeps_out", "outlook_of"]

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Outlook:
    """Why a run enters nothing.

    Attributes:
        why: A clause; '' where it enters as usual.
        is_silent: Whether it sends no exit either.
    """

    why: str = ""
    is_silent: bool = False


async def keeps_out(
    view: StoreView,
    account: Account,
    strategy: str,
    mode: TradingMode,
    *,
    day: str,
    address: str | None,
) -> str:
    """Return why a strategy enters nothing on an account now, a clause; '' where it does.

    Args:
        view: The store.
        account: Where it is switched on.
        strategy: Name of the strategy.
        mode: The mode of all accounts.
        day: The trading day.
        address: Where the account has to be proved; None where that is not asked (F8).
    """
    if reason := kept_out(account, mode):
        return reason
    if account.address_trouble:
        return "its address is wrong: nothing is entered"
    if reason := await why_shut(view, account.broker_id, strategy, day):
        return reason
    return "; ".join(await held_back(view, account.broker_id, address, day))


async def outlook_of(
    view: StoreView,
    strategy: str,
    accounts: Sequence[tuple[Account, AssignmentView]],
    *,
    by_clock: str,
    day: str,
    address_of: Callable[[str], str | None],
) -> Outlook:
    """Return what a run may do on the accounts that it reaches.

    Args:
        view: The store.
        strategy: Name of the strategy.
        accounts: Those that it reaches.
        by_clock: Why it enters nothing on any of them by the clock, or ''.
        day: The trading day.
        address_of: Where an account has to be proved.
    """
    mode = await global_mode(view)
    if not accounts:
        return Outlook("it is on for no account", is_silent=True)
    unsent = {one.label: sends_nothing(one, mode) for one, _ in accounts}
    if all(unsent.values()):
        return Outlook(_said(unsent), is_silent=True)
    if by_clock:
        return Outlook(by_clock)
    reasons = {}
    for account, assignment in accounts:
        address = address_of(account.broker_id)
        why = await keeps_out(view, account, strategy, mode, day=day, address=address)
        reasons[account.label] = why if assignment.is_on else why or "switched off there"
    return Outlook(_said(reasons) if all(reasons.values()) else "")


def _said(reasons: dict[str, str]) -> str:
    """Return the reasons of accounts: once where it is the same, else with their names."""
    if len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    named = [f"{label}: {why}" for label, why in list(reasons.items())[:_NAMED]]
    more = len(reasons) - _NAMED
    return "; ".join([*named, *([f"and {more} more"] if more > 0 else [])])
