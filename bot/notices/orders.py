"""The messages of notices about orders."""

from __future__ import annotations

from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.dashboard import ON_CARD, order_button
from bot.views.lines import order_line, order_terms, outcome_words
from bot.views.markup import LONG, bold, esc, join, short
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.words import is_final
from core.domain.notices.orders import (
    CancelRefused,
    EntriesDropped,
    ExternalOrder,
    OrderNotice,
    OrderRejected,
    OrderResolved,
    OrderRevived,
    OrderUnresolved,
    OrderUpdate,
)
from core.domain.order import OrderState
from core.domain.views import OrderView

__all__ = ["order_notice"]


async def order_notice(notice: OrderNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about an order."""
    if isinstance(notice, EntriesDropped):
        return await _dropped(notice, lookups)
    order = await lookups.order(notice.client_order_id)
    match notice:
        case OrderRejected():
            return _rejected(order)
        case OrderUnresolved():
            return _unresolved(order)
        case OrderResolved():
            return _known(order)
        case OrderRevived():
            return _revived(order)
        case OrderUpdate():
            return _card("Your order", order)
        case ExternalOrder():
            return _card("Not placed by me", order)
        case CancelRefused():
            return _not_cancelled(order)
        case _:
            assert_never(notice)


def _card(title: str, order: OrderView) -> Screen:
    cancel = order_button(order, ON_CARD)
    text = join(bold(f"{title} · {order.account_label}"), order_line(order))
    return Screen(text, ((cancel,),) if cancel is not None else ())


def _rejected(order: OrderView) -> Screen:
    reason = order.reason or "the broker gave no reason"
    return Screen(
        join(
            f"❌ {bold(f'Rejected · {order.account_label}')}",
            order_terms(order),
            f"The broker says: {esc(short(reason, LONG))}",
        )
    )


def _unresolved(order: OrderView) -> Screen:
    if order.state is not OrderState.UNRESOLVED:
        return _known(order)
    text = join(
        f"❓ {bold(f'Not known yet · {order.account_label}')}",
        order_terms(order),
        "",
        "I sent this order and the broker's answer did not arrive. It may or may not be there. "
        "I keep asking the broker, send nothing in its place, and tell you as soon as I know.",
        f"It carries the tag {esc(order.key)}." if not order.broker_order_id else None,
        esc(order.reason) if order.reason else None,
    )
    return Screen(text, ((button("I looked at the broker …", Verb.ASK_RESOLVE, order.key),),))


def _known(order: OrderView) -> Screen:
    """Return what became of the doubt, in words that stay true: the order's own card goes on."""
    return Screen(
        join(bold(f"Known now · {order.account_label}"), order_terms(order), _outcome(order))
    )


def _outcome(order: OrderView) -> str:
    if not is_final(order):
        return "The broker has it."
    return outcome_words(order)


def _revived(order: OrderView) -> Screen:
    note = (
        f"🚨 {bold('An order that counted as finished came back.')} Check the position at the "
        "broker; I count it as it is there."
    )
    title = bold(f"Came back · {order.account_label}")
    return Screen(join(note, title, order_terms(order), _outcome(order)))


def _not_cancelled(order: OrderView) -> Screen:
    return Screen(
        join(
            f"🚨 {bold(f'An order is in the way · {order.account_label}')}",
            order_terms(order),
            "The broker does not cancel it. Please look at it in the broker's app.",
        ),
        ((button("Orders", Verb.ORDERS, order.broker_id),),),
    )


async def _dropped(notice: EntriesDropped, lookups: Lookups) -> Screen:
    label = await lookups.label(notice.broker_id)
    return Screen(
        join(
            bold(f"Entries dropped · {label}"),
            "They waited for the login and are too old now:",
            await lookups.order_lines(notice.orders),
            "Exits are worked out anew from what the broker shows.",
        )
    )
