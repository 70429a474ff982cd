"""The messages of notices about an account and what it holds."""

from __future__ import annotations

from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.lines import brief, held_list
from bot.views.markup import LONG, bold, clock_time, esc, join, sentence, short
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.words import plural
from core.domain.notices.accounts import (
    AccountNotice,
    AccountParked,
    AccountReadable,
    AccountUnreadable,
    AddressRight,
    AddressWrong,
    Anomaly,
    OrdersLeftResting,
    PositionShrunk,
    RowsUnread,
    SoftwareStop,
    SquareOffAlarm,
)

__all__ = ["account_notice"]

_MINUTES_FROM_S = 180


async def account_notice(notice: AccountNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about an account."""
    label = await lookups.label(notice.broker_id)
    match notice:
        case AccountParked():
            return await _parked(notice, label, lookups)
        case AccountUnreadable() | AccountReadable() | RowsUnread():
            return await _reading(notice, label, lookups)
        case AddressWrong() | AddressRight():
            return await _address(notice, label, lookups)
        case SquareOffAlarm():
            return _square_off(notice, label, await lookups.unsent(notice.broker_id))
        case SoftwareStop():
            return _software_stop(notice, label)
        case PositionShrunk():
            return _shrunk(notice, label, await _stop_stays(notice, lookups))
        case OrdersLeftResting():
            return _left_resting(notice, label)
        case Anomaly():
            return _anomaly(notice, label)
        case _:
            assert_never(notice)


async def _parked(notice: AccountParked, label: str, lookups: Lookups) -> Screen:
    accounts = await lookups.accounts([notice.broker_id])
    exits = await lookups.order_lines(notice.waiting_exits)
    text = join(
        f"⏸ {bold(f'Nothing is sent · {label}')}",
        esc(sentence(notice.reason)),
        held_list(await lookups.held(notice.broker_id)),
        "No entry, no exit and no new stop goes out there until this is settled; your other "
        "accounts go on.",
        ["", bold("Exits that wait:"), *exits] if exits else None,
    )
    return Screen(text, await lookups.login_rows(accounts))


async def _reading(
    notice: AccountUnreadable | AccountReadable | RowsUnread, label: str, lookups: Lookups
) -> Screen:
    match notice:
        case AccountUnreadable():
            return _unreadable(notice, label)
        case AccountReadable():
            return _readable(notice, label)
        case RowsUnread():
            return await _rows_unread(notice, label, lookups)


async def _address(notice: AddressWrong | AddressRight, label: str, lookups: Lookups) -> Screen:
    row = ((button("Address", Verb.ADDRESS, notice.broker_id),),)
    if isinstance(notice, AddressRight):
        kept = await lookups.kept_out(notice.broker_id)
        text = (
            f"✅ The address of {bold(label)} is right again. Its orders leave from "
            f"{esc(notice.seen)}."
            if notice.seen
            else f"✅ {bold(label)} leaves by another way now. From where it is seen is not known."
        )
        enters = f"It enters nothing yet: {kept}." if kept else "It enters again."
        return Screen(f"{text} {esc(enters)}", row)
    accounts = await lookups.accounts([notice.broker_id])
    what_to_do = (
        f"Register {esc(notice.seen)} at {esc(accounts[0].broker.console)}, or let its "
        "orders leave from another address."
        if notice.seen and accounts
        else "Bring it back, or let its orders leave from another address."
    )
    text = join(
        f"⚠️ {bold(f'Address is wrong · {label}')}",
        f"{esc(sentence(notice.trouble))} Nothing is entered there until it is right. {what_to_do}",
    )
    return Screen(text, row)


def _unreadable(notice: AccountUnreadable, label: str) -> Screen:
    return Screen(
        join(
            f"⚠️ {bold(f'{label} cannot be read')}",
            f"Since {clock_time(notice.since, seconds=True)} no usable answer: "
            f"{esc(short(notice.reason, LONG))}.",
            "What I show of this account may be old. I go on asking, and tell you when it can be "
            "read again; for what is urgent look into the broker's app.",
        ),
        ((button("Health", Verb.HEALTH),),),
    )


def _readable(notice: AccountReadable, label: str) -> Screen:
    after = f", after {_duration(notice.seconds)}" if notice.seconds else ""
    return Screen(f"✅ {bold(label)} can be read again{after}.")


def _duration(seconds: int) -> str:
    return f"{seconds} s" if seconds < _MINUTES_FROM_S else f"{seconds // 60} min"


_BROKER_MAY = "brokers charge for squaring off, and an intraday short may go to auction"


def _square_off(notice: SquareOffAlarm, label: str, unsent: str) -> Screen:
    why = f"Nothing is sent there ({unsent})" if unsent else "I could not close these in time"
    if notice.is_closed:
        do = (
            f"{why}, and the market is closed now. Look in the broker's app what becomes of them: "
            f"{_BROKER_MAY}."
        )
    elif unsent:
        do = f"{why}, so I do not square these off. Close them in the broker's app: {_BROKER_MAY}."
    else:
        do = f"{why} for the square-off. Close them now, here or at the broker: {_BROKER_MAY}."
    return Screen(
        join(
            f"🚨 {bold(f'Still open · {label}')}",
            [f"• {esc(brief(one))}" for one in notice.positions],
            esc(do),
        ),
        ((button("Positions", Verb.POSITIONS, notice.broker_id),),),
    )


def _software_stop(notice: SoftwareStop, label: str) -> Screen:
    return Screen(
        f"⚠️ {bold(f'Software stop · {label}')}\nThe broker does not take the stop of "
        f"{bold(brief(notice.instrument))} ({esc(brief(notice.reason))}). I watch the price "
        "myself: that works only while I run and the account is logged in and not paused."
    )


async def _stop_stays(notice: PositionShrunk, lookups: Lookups) -> str | None:
    """Return that a stop rests for more than is held, while nothing can make it smaller."""
    unsent = await lookups.unsent(notice.broker_id)
    if not unsent:
        return None
    held = await lookups.held(notice.broker_id)
    place = (notice.instrument, notice.product)
    if not any(one.stop for one in held if (str(one.instrument), one.product.value) == place):
        return None
    return (
        f"Its stop stays as it rests, because nothing is sent there ({unsent}): look at it in the "
        "broker's app."
    )


def _shrunk(notice: PositionShrunk, label: str, stays: str | None) -> Screen:
    return Screen(
        join(
            bold(f"Fewer units held · {label}"),
            f"The broker holds {notice.quantity} of "
            f"{esc(brief(f'{notice.instrument} {notice.product}'))}, fewer than the strategies' "
            "records: the rest was closed by hand or by the broker. I corrected the records.",
            esc(stays) if stays else None,
        ),
        ((button("Orders", Verb.ORDERS, notice.broker_id),),),
    )


def _left_resting(notice: OrdersLeftResting, label: str) -> Screen:
    return Screen(
        f"⚠️ {bold(label)} is yours now, but {plural(notice.count, 'order')} of the strategies may "
        f"still rest there ({esc(notice.reason)}) and could trade. Cancel what is left in /orders.",
        ((button("Orders", Verb.ORDERS, notice.broker_id),),),
    )


async def _rows_unread(notice: RowsUnread, label: str, lookups: Lookups) -> Screen:
    own = await lookups.order_lines(notice.own)
    them = "it" if notice.count == 1 else "them"
    return Screen(
        join(
            f"⚠️ {bold(label)}: {plural(notice.count, notice.what)} of the broker's list could not "
            f"be read ({esc(', '.join(notice.reasons))}). What I show and count leaves {them} "
            f"out; look at {them} at the broker.",
            ["", bold("My own among them, whose outcome I do not know:"), *own] if own else None,
        ),
        ((button("Orders", Verb.ORDERS, notice.broker_id),),),
    )


def _anomaly(notice: Anomaly, label: str) -> Screen:
    return Screen(
        f"🚨 {bold(f'Impossible event · {label}')}\n{esc(sentence(brief(notice.text)))}\nI "
        "enter nothing new on this account. When you have looked at it, set it to Exit only and "
        "then to Normal under /mode, to go on.",
        ((button("Orders", Verb.ORDERS, notice.broker_id), button("Health", Verb.HEALTH)),),
    )
