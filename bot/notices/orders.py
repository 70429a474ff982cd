"""The messages of notices about orders.

An unresolved order has one message, its card, which is edited until the order is settled (R4).
Because an edit makes no sound, ``ExitUnproved`` comes beside it, once, when only a user can settle
it, and ``OrderResolved`` takes its place when the broker's answers have settled it: it was given
up, or found more than ten seconds after it was sent, when the card is no longer read. Who
settles it with a button sees the answer; nobody else is rung.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.dashboard import ON_CARD, order_button
from bot.views.lines import brief, order_line, order_terms
from bot.views.markup import LONG, bold, esc, join, short
from bot.views.screen import Screen, button
from bot.views.unresolved import outcome, unresolved_screen
from bot.views.verbs import Verb
from core.domain.notices.orders import (
    CancelRefused,
    EntriesDropped,
    EntryMissed,
    ExternalOrder,
    OrderNotice,
    OrderRejected,
    OrderResolved,
    OrderRevived,
    OrderUnresolved,
    OrderUpdate,
)
from core.domain.order import LIVE_STATES, Purpose, Side
from core.domain.views import OrderView

__all__ = ["order_notice"]


async def order_notice(notice: OrderNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about an order."""
    if isinstance(notice, EntriesDropped):
        return await _dropped(notice, lookups)
    if isinstance(notice, OrderUnresolved | OrderResolved):
        # Either shows the present: the end once it is known, and never an old doubt.
        return unresolved_screen(await lookups.inquiry(notice.client_order_id))
    order = await lookups.order(notice.client_order_id)
    match notice:
        case OrderRejected():
            return _rejected(order)
        case OrderRevived():
            return _revived(order)
        case OrderUpdate():
            return _card("Your order", order)
        case ExternalOrder():
            place = (order.broker_id, str(order.instrument), order.product.value, order.side)
            return _external(order, await lookups.working(*place, Purpose.STOP))
        case CancelRefused():
            return _not_cancelled(order)
        case EntryMissed():
            return _missed(order)
        case _:
            assert_never(notice)


def _card(title: str, order: OrderView) -> Screen:
    cancel = order_button(order, ON_CARD)
    text = join(bold(f"{title} · {order.account_label}"), order_line(order))
    return Screen(text, ((cancel,),) if cancel is not None else ())


def _external(order: OrderView, stops: Sequence[OrderView]) -> Screen:
    """Return the card of an order by hand; one beside a stop of ours may close the units twice."""
    card = _card("Not placed by me", order)
    if order.state not in LIVE_STATES or not stops:
        return card
    deed = "sell" if order.side is Side.SELL else "buy"
    units = sum(one.quantity for one in stops)
    warning = (
        f"⚠️ My own stop would {deed} {units} too. If both are for the same units, cancel this one: "
        "when both fill, a new position is open."
    )
    return Screen(join(card.text, "", warning), card.rows)


def _rejected(order: OrderView) -> Screen:
    said = (
        f"The broker says: {esc(short(brief(order.reason), LONG))}"
        if order.reason
        else "The broker gave no reason."
    )
    return Screen(
        join(
            f"❌ {bold(f'Rejected · {order.account_label}')}",
            order_terms(order),
            said,
            order.sequel or ("It is not repeated." if order.purpose is Purpose.ENTRY else None),
        )
    )


def _revived(order: OrderView) -> Screen:
    title = f"🚨 {bold(f'Order came back · {order.account_label}')}"
    note = (
        "It counted as finished. Check the position at the broker; I count the order as it is "
        "there now:"
    )
    return Screen(join(title, note, order_terms(order), outcome(order)))


def _not_cancelled(order: OrderView) -> Screen:
    return Screen(
        join(
            f"🚨 {bold(f'Order in the way · {order.account_label}')}",
            order_terms(order),
            "The broker does not cancel it. Please look at it in the broker's app.",
        ),
        ((button("Orders", Verb.ORDERS, order.broker_id),),),
    )


def _missed(order: OrderView) -> Screen:
    why = short(brief(order.reason), LONG).removesuffix(".") or "It was not sent"
    return Screen(
        join(
            f"⚠️ {bold(f'Not entered · {order.account_label}')}",
            order_terms(order),
            f"{esc(why[:1].upper() + why[1:])}. Other accounts have entered on this signal.",
        )
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
