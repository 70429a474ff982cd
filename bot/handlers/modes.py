"""Trading modes, /mode: choose, confirm, see the result (C1, C2); the drain view (C5)."""

from __future__ import annotations

from bot.conversation.visit import Visit
from bot.views.dashboard import ON_CARD
from bot.views.modes import (
    GLOBAL,
    MODE_CODES,
    drain_screen,
    mode_panel,
    mode_question,
    mode_result,
)
from bot.views.screen import button
from bot.views.verbs import Verb
from bot.views.words import MODE
from core.domain.mode import TradingMode
from core.errors import UserError

__all__ = ["ask", "change", "drain", "panel"]


async def panel(visit: Visit) -> None:
    """Show the modes."""
    control = visit.services.control
    accounts = await control.accounts.all()
    selected = visit.tap.argument(0) or None
    await visit.show(mode_panel(accounts, await control.modes.global_mode(), selected))


async def ask(visit: Visit) -> None:
    """Say what the change does, and ask."""
    target = visit.tap.argument(0)
    new = MODE_CODES.get(visit.tap.argument(1))
    if new is None:
        raise UserError("I do not know that mode. Open /mode again.")
    control = visit.services.control
    account = None if target == GLOBAL else await control.accounts.get(target)
    old = await control.modes.global_mode() if account is None else account.trading_mode
    exits = await control.modes.exits_to_come(new, account.broker_id if account else None)
    await visit.confirm(
        mode_question(account, old, new, exits),
        Verb.CHANGE_MODE,
        {"target": target, "mode": new.value},
        {"": f"Yes, set {MODE[new]}"},
        back=((button("« Leave it", Verb.MODES),),),
        is_new=visit.tap.argument(2) == ON_CARD,
    )


async def change(visit: Visit) -> None:
    """Change the mode, and show which orders still work and what is unprotected."""
    target = visit.args["target"]
    mode = TradingMode(visit.args["mode"])
    control = visit.services.control
    broker_id = None if target == GLOBAL else target
    result = await control.modes.set(visit.command, mode, broker_id)
    whose = "All accounts" if broker_id is None else (await control.accounts.get(broker_id)).label
    await visit.show(mode_result(result, whose))


async def drain(visit: Visit) -> None:
    """Show what EXIT_ONLY accounts still hold."""
    await visit.show(drain_screen(await visit.services.control.views.drain()))
