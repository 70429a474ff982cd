"""Trading modes, /mode: choose, confirm, see the result (C1, C2); the drain view (C5)."""

from __future__ import annotations

from collections.abc import Sequence

from bot.conversation.visit import Visit
from bot.views.dashboard import ON_CARD
from bot.views.modes import (
    ALL_ARE,
    GLOBAL,
    MODE_CODES,
    OWN_MODE,
    drain_screen,
    mode_panel,
    mode_question,
    mode_result,
)
from bot.views.paging import page_number
from bot.views.screen import button
from bot.views.verbs import Verb
from bot.views.words import MODE
from core.domain.account import Account
from core.domain.mode import TradingMode, stricter
from core.errors import UserError

__all__ = ["ask", "change", "drain", "panel"]


async def panel(visit: Visit) -> None:
    """Show the modes."""
    control = visit.services.control
    accounts = await control.accounts.all()
    selected = visit.tap.argument(0) or None
    page = page_number(visit.tap.argument(1))
    await visit.show(mode_panel(accounts, await control.modes.global_mode(), selected, page))


async def ask(visit: Visit) -> None:
    """Say what the change does, and ask."""
    target = visit.tap.argument(0)
    new = MODE_CODES.get(visit.tap.argument(1))
    if new is None:
        raise UserError("I do not know that mode. Open /mode again.")
    control = visit.services.control
    account = None if target == GLOBAL else await control.accounts.get(target)
    accounts, present = await control.accounts.all(), await control.modes.global_mode()
    old = present if account is None else account.trading_mode
    exits = await control.modes.exits_to_come(new, account.broker_id if account else None)
    kept = _kept_by(account, new, accounts, present)
    concerned = len(accounts) if account is None else 1
    await visit.confirm(
        mode_question(account, old, new, exits, kept, takes_effect=len(kept) < concerned),
        Verb.CHANGE_MODE,
        {"target": target, "mode": new.value},
        {"": f"Yes, set {MODE[new]}"},
        back=((button("« Leave it", Verb.MODES),),),
        is_new=visit.tap.argument(2) == ON_CARD,
        is_red=new is TradingMode.PAUSED,
    )


def _kept_by(
    account: Account | None, new: TradingMode, accounts: Sequence[Account], present: TradingMode
) -> list[str]:
    """Return what stays stricter than a mode that is about to be set, a line each."""
    if account is not None:
        return [ALL_ARE.format(mode=MODE[present])] if stricter(new, present) is not new else []
    return [
        OWN_MODE.format(label=one.label, mode=MODE[one.trading_mode])
        for one in accounts
        if stricter(one.trading_mode, new) is not new
    ]


async def change(visit: Visit) -> None:
    """Change the mode, and show which orders still work and what is unprotected."""
    target = visit.args["target"]
    mode = TradingMode(visit.args["mode"])
    control = visit.services.control
    broker_id = None if target == GLOBAL else target
    result = await control.modes.set(visit.command, mode, broker_id)
    whose = "All accounts" if broker_id is None else (await control.accounts.get(broker_id)).label
    accounts = await control.accounts.all()
    await visit.show(mode_result(result, whose, accounts, await control.modes.global_mode()))


async def drain(visit: Visit) -> None:
    """Show what EXIT_ONLY accounts still hold."""
    await visit.show(drain_screen(await visit.services.control.views.drain()))
