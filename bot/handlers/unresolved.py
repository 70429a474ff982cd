"""Orders of unknown fate: ask before an answer is taken, take it, ask the broker again (R4)."""

from __future__ import annotations

from functools import partial

from bot.conversation.visit import Visit
from bot.handlers.orders import show_order
from bot.views.callbacks import handle
from bot.views.screen import Keyboard, button
from bot.views.unresolved import (
    NOT_PLACED,
    asked_screen,
    link_question,
    not_placed_question,
    settled_screen,
)
from bot.views.verbs import Verb
from core.domain.inquiry import Candidate, InquiryView
from core.domain.order import OrderState
from core.errors import NotFound, UserError

__all__ = ["ask_broker", "ask_resolve", "resolve_order"]

_AS = "broker_order_id"


async def ask_resolve(visit: Visit) -> None:
    """Ask before an order is linked or given up; without a choice, show the choices."""
    view = await visit.services.control.unresolved.view(visit.tap.argument(0))
    choice = visit.tap.argument(1)
    if view.order.state is not OrderState.UNRESOLVED:
        # The card is edited by itself; this tap was made before, or on another message.
        await visit.send(settled_screen(view))
    elif not choice:
        await visit.send(asked_screen(view))
    elif choice == NOT_PLACED:
        await _confirm(visit, view, not_placed_question(view), "It was not placed", None)
    else:
        found = _candidate(view, choice)
        text = link_question(view, found)
        await _confirm(visit, view, text, "It is this one", found.broker_order_id)


def _candidate(view: InquiryView, wanted: str) -> Candidate:
    for one in view.inquiry.candidates:
        if handle(one.broker_order_id) == wanted:
            return one
    raise NotFound("The broker does not show that order as one that could be this any more.")


async def _confirm(
    visit: Visit, view: InquiryView, text: str, label: str, broker_order_id: str | None
) -> None:
    back: Keyboard = ((button("« Let me look first", Verb.ORDERS, view.order.broker_id),),)
    await visit.confirm(
        text,
        Verb.RESOLVE_ORDER,
        {"client_order_id": view.order.key, _AS: broker_order_id},
        {"": label},
        back=back,
        is_new=True,
    )


async def resolve_order(visit: Visit) -> None:
    """Settle an order by the user's answer."""
    args, unresolved = visit.args, visit.services.control.unresolved
    if _AS not in args:
        raise UserError("That button is of an earlier version; use those of the order's message.")
    key, wanted = args["client_order_id"], args[_AS]
    if wanted is None:
        after = await unresolved.not_placed(visit.command, key)
        is_there = after.state is not OrderState.NOT_PLACED
        title = "It is at the broker after all" if is_there else "Noted"
    else:
        after = await unresolved.link(visit.command, key, wanted)
        title = "Noted"
    await show_order(visit, title, after.client_order_id)


async def ask_broker(visit: Visit) -> None:
    """Read the broker now; the card is edited with what was found, or with why it was not read."""
    unresolved, key = visit.services.control.unresolved, visit.tap.argument(0)
    await visit.look(key, partial(unresolved.ask_again, key))
