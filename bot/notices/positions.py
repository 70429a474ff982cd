"""The messages of notices about what is held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.callbacks import handle
from bot.views.lines import brief, order_terms, product_words, result_words, strategy_words
from bot.views.markup import bold, clock_time, esc, join
from bot.views.screen import Screen, button
from bot.views.unresolved import answer_rows, settled_screen
from bot.views.verbs import Verb
from bot.views.width import INDENT
from bot.views.words import plural, price
from core.domain.inquiry import InquiryView
from core.domain.notices.positions import (
    ClosedByHand,
    ContractEnds,
    ExitUnproved,
    IntradayLedgerVoid,
    LedgersCrossed,
    OrderUnlisted,
    PositionConverted,
    PositionDisputed,
    PositionNotice,
    UnownedPosition,
)
from core.domain.order import OrderState
from core.domain.views import OrderView

__all__ = ["position_notice"]


async def position_notice(notice: PositionNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about what is held."""
    if isinstance(notice, ExitUnproved | OrderUnlisted):
        return await _about_order(notice, lookups)
    label = await lookups.label(notice.broker_id)
    match notice:
        case ClosedByHand():
            return _closed(notice, label, await lookups.unsent(notice.broker_id))
        case PositionDisputed():
            return _disputed(notice, label)
        case PositionConverted():
            return _converted(notice, label)
        case IntradayLedgerVoid():
            return _void(notice, label)
        case UnownedPosition():
            return _unowned(notice, label)
        case LedgersCrossed():
            return _crossed(notice, label)
        case ContractEnds():
            return _ends(notice, label)
        case _:
            assert_never(notice)


async def _about_order(notice: ExitUnproved | OrderUnlisted, lookups: Lookups) -> Screen:
    if isinstance(notice, ExitUnproved):
        return _unproved(await lookups.inquiry(notice.client_order_id))
    return _unlisted(await lookups.order(notice.client_order_id))


def _names(strategies: Iterable[str]) -> str:
    return ", ".join(strategy_words(one) for one in strategies)


def _closed(notice: ClosedByHand, label: str, unsent: str) -> Screen:
    at = f" at {price(notice.price)}" if notice.price else ""
    whose = _names(notice.strategies)
    units = plural(notice.left, "unit") if notice.left else "nothing"
    left = f"{units}; the stop follows" if notice.left else "nothing; its stop is cancelled"
    if unsent:
        # A stop that outlives its position opens another one when it is hit.
        left = (
            f"{units}. Its stop stays as it rests, because nothing is sent "
            f"there ({unsent}): look at it in the broker's app"
        )
    return Screen(
        join(
            f"✋ {bold(f'Closed by hand · {label}')}",
            f"{bold(brief(notice.instrument))}: {plural(notice.units, 'unit')} closed{at} by an "
            "order that I did not send.",
            None if notice.result is None else result_words(notice.result, notice.charges),
            f"Held now by {esc(whose)}: {esc(left)}.",
        ),
        ((button("Orders", Verb.ORDERS, notice.broker_id),),),
    )


def _disputed(notice: PositionDisputed, label: str) -> Screen:
    what = f"{esc(brief(f'{notice.instrument} {notice.product}'))}"
    key = handle(f"{notice.instrument}|{notice.product}")
    if notice.is_over:
        return Screen(
            f"✅ {bold(f'Known again · {label}')}\nPositions and fills of {what} agree again: "
            f"{notice.by_fills} held."
        )
    return Screen(
        join(
            f"❓ {bold(f'Position not known · {label}')}",
            f"By today's fills {notice.by_fills} {what} are held, but the broker's positions show "
            f"{notice.by_positions}. I keep the strategies' records and stops as they are, and ask "
            "again; look in the broker's app.",
        ),
        (
            (button("The positions are right …", Verb.ASK_BELIEVE, notice.broker_id, key),),
            (button("Positions", Verb.POSITIONS, notice.broker_id),),
        ),
    )


def _converted(notice: PositionConverted, label: str) -> Screen:
    whose = f" of {esc(_names(notice.strategies))}" if notice.strategies else ""
    what = f"{notice.units} {esc(brief(notice.instrument))}{whose}"
    was = esc(product_words(notice.instrument, notice.product))
    into = esc(product_words(notice.instrument, notice.into))
    return Screen(
        f"🔁 {bold(f'Converted by hand · {label}')}\n{what} "
        f"went from {was} to {into}. They are outside my care now: no "
        "strategy sells them, and no stop of mine protects them. Protect or close them yourself."
    )


def _void(notice: IntradayLedgerVoid, label: str) -> Screen:
    return Screen(
        join(
            f"🌅 {bold(f'Ended with their day · {label}')}",
            [line for one in notice.ledgers for line in _ledger_lines(one)],
            "These intraday positions were still in the records this morning. I sell nothing for "
            "them; look in the broker's app what became of them.",
        ),
        ((button("Positions", Verb.POSITIONS, notice.broker_id),),),
    )


def _ledger_lines(text: str) -> list[str]:
    """Return ``orb: +5 NSE:SBIN (MIS)`` as a line for what is held and one for whose it is."""
    whose, colon, what = text.partition(": ")
    if not colon:
        return [f"• {esc(brief(text))}"]
    return [f"• {esc(brief(what))}", f"{INDENT}{esc(strategy_words(whose))}"]


def _unowned(notice: UnownedPosition, label: str) -> Screen:
    what = f"{notice.units:+d} {esc(brief(f'{notice.instrument} {notice.product}'))}"
    key = handle(f"{notice.instrument}|{notice.product}")
    return Screen(
        join(
            f"🚨 {bold(f'Unowned position · {label}')}",
            f"An order by hand and one of mine filled together: {what} is open now, owned by no "
            "strategy and without a stop. Close it, or keep it as your own.",
        ),
        ((button("Close it …", Verb.ASK_CLOSE, notice.broker_id, key),),),
    )


def _crossed(notice: LedgersCrossed, label: str) -> Screen:
    names = esc(_names(notice.strategies))
    what = f"{notice.units} {esc(brief(f'{notice.instrument} {notice.product}'))}"
    return Screen(
        f"🔀 {bold(f'Crossed without an order · {label}')}\n{names} held opposite sides: {what} "
        f"were closed against one another at {price(notice.price)}. The broker saw no order."
    )


def _ends(notice: ContractEnds, label: str) -> Screen:
    what = f"{notice.quantity:+d} {esc(brief(f'{notice.instrument} {notice.product}'))}"
    return Screen(
        join(
            f"⏳ {bold(f'Ends today · {label}')}",
            f"{what} of {esc(strategy_words(notice.strategy))} trades until "
            f"{clock_time(notice.closes_at)}. What is held then is settled, a share's future by "
            "delivery of the shares. Close it before, if you do not want that.",
        ),
        ((button("Positions", Verb.POSITIONS, notice.broker_id),),),
    )


def _unproved(view: InquiryView) -> Screen:
    order = view.order
    if order.state is not OrderState.UNRESOLVED:
        return settled_screen(view)
    why = (
        "It may be one of the orders that the broker shows without my tag"
        if view.inquiry.candidates
        else "The broker's answers have stood still since I sent it, or its positions contradict "
        "them"
    )
    what = "exit" if order.purpose.is_reducing else "order"
    text = join(
        f"🚨 {bold(f'Is this {what} there? · {order.account_label}')}",
        order_terms(order),
        f"{why}, so I do not send it again. Look in the broker's app and tell me.",
    )
    return Screen(text, answer_rows(view))


def _unlisted(order: OrderView) -> Screen:
    return Screen(
        join(
            f"🚨 {bold(f'Order not listed · {order.account_label}')}",
            order_terms(order),
            "The broker took it and does not list it. It may have filled, so its position may be "
            "without a stop. Look in the broker's app; when the positions show other units than I "
            "know, I ask you about them.",
        ),
        (
            (
                button("Orders", Verb.ORDERS, order.broker_id),
                button("Positions", Verb.POSITIONS, order.broker_id),
            ),
        ),
    )
