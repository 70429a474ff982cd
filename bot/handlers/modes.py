"""Trading modes, /mode: choose, confirm, see the result (C1, C2); the drain view (C5)."""

from __future__ import annotations

from collections.abc import Sequence

from bot.conversation.visit import Visit
from bot.views.dashboard import ON_CARD
from bot.views.modes import (
    ALL_ARE,
    FOLLOW,
    GLOBAL,
    MODE_CODES,
    THAWS,
    drain_screen,
    mode_choices,
    mode_panel,
    mode_question,
    mode_result,
    own_mode_before,
)
from bot.views.paging import page_number
from bot.views.screen import button
from bot.views.verbs import Verb
from bot.views.words import MODE
from core.domain.account import Account
from core.domain.mode import TradingMode, stricter
from core.domain.views import OwnMode
from core.errors import UserError

__all__ = ["ask", "ask_for", "change", "drain", "panel"]

_LOGINS_SHOWN = 5


async def panel(visit: Visit) -> None:
    """Show the modes."""
    control = visit.services.control
    accounts = await control.accounts.all()
    selected = visit.tap.argument(0) or None
    page = page_number(visit.tap.argument(1))
    await visit.show(mode_panel(accounts, await control.modes.global_mode(), selected, page))


async def ask(visit: Visit) -> None:
    """Say what the change does, and ask."""
    new = MODE_CODES.get(visit.tap.argument(1))
    if new is None:
        raise UserError("I do not know that mode. Open /mode again.")
    await ask_for(visit, visit.tap.argument(0), new, is_new=visit.tap.argument(2) == ON_CARD)


async def ask_for(visit: Visit, target: str, new: TradingMode, *, is_new: bool = False) -> None:
    """Ask whether an account, or all of them (``GLOBAL``), shall have a mode."""
    control = visit.services.control
    account = None if target == GLOBAL else await control.accounts.get(target)
    accounts, present = await control.accounts.all(), await control.modes.global_mode()
    old = present if account is None else account.trading_mode
    own = await control.modes.own_modes(new) if account is None else ()
    follow = [one.account for one in own if one.may_follow]
    exits = await control.modes.exits_to_come(new, account.broker_id if account else None)
    is_every = account is None and len(follow) == len(accounts)
    kept = _kept_by(account, new, own, present, is_along=is_every)
    concerned = len(accounts) if account is None else 1
    takes_effect = bool(follow) or len(kept) < concerned
    if account is None and new is TradingMode.NORMAL:
        kept += [THAWS.format(label=one.label) for one in await control.modes.frozen()]
    await visit.confirm(
        mode_question(account, old, new, exits, kept, takes_effect=takes_effect),
        Verb.CHANGE_MODE,
        {"target": target, "mode": new.value, "also": [one.broker_id for one in follow]},
        mode_choices(new, follow, is_every=is_every),
        back=((button("« Leave it", Verb.MODES),),),
        is_new=is_new,
        is_red=new is TradingMode.PAUSED,
    )


def _kept_by(
    account: Account | None,
    new: TradingMode,
    own: Sequence[OwnMode],
    present: TradingMode,
    *,
    is_along: bool,
) -> list[str]:
    """Return what stays stricter than a mode that is about to be set, a line each."""
    if account is not None:
        return [ALL_ARE.format(mode=MODE[present])] if stricter(new, present) is not new else []
    return [own_mode_before(one, is_along=is_along) for one in own]


async def change(visit: Visit) -> None:
    """Change the mode, and show which orders still work and what is unprotected."""
    target = visit.args["target"]
    mode = TradingMode(visit.args["mode"])
    control = visit.services.control
    broker_id = None if target == GLOBAL else target
    also = visit.args.get("also", ()) if visit.tap.argument(1) == FOLLOW else ()
    result = await control.modes.set(visit.command, mode, broker_id, also=also)
    whose = "All accounts" if broker_id is None else (await control.accounts.get(broker_id)).label
    present, now = await control.modes.global_mode(), visit.services.clock.market_now()
    await visit.show(mode_result(result, whose, present, now))


async def drain(visit: Visit) -> None:
    """Show what EXIT_ONLY accounts still hold."""
    views = await visit.services.control.views.drain()
    waiting = [one.account for one in views if one.account.needs_login]
    logins = [await visit.services.logins.button(one) for one in waiting[:_LOGINS_SHOWN]]
    await visit.show(drain_screen(views, logins, page_number(visit.tap.argument(0))))
