"""The messages of notices about what protects a position."""

from __future__ import annotations

from typing import assert_never

from telegram import InlineKeyboardButton

from bot.notices.lookups import Lookups
from bot.views.callbacks import handle
from bot.views.lines import brief, strategy_words
from bot.views.markup import LONG, bold, clock_time, day_words, esc, join, short
from bot.views.screen import Keyboard, Screen, button
from bot.views.verbs import Verb
from bot.views.words import plural, price
from core.domain.notices.protection import (
    AlarmOver,
    ExitDenied,
    ProtectedAgain,
    ProtectionNotice,
    StopCancelled,
    StopChanged,
    StopHit,
    StopRestored,
    Unprotected,
)

__all__ = ["protection_notice"]


async def protection_notice(notice: ProtectionNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about what protects a position."""
    label = await lookups.label(notice.broker_id)
    match notice:
        case ExitDenied():
            return _denied(notice, label)
        case StopRestored():
            return _restored(notice, label)
        case StopChanged():
            return _changed(notice, label)
        case StopCancelled():
            return _cancelled(notice, label, await _stands(notice, lookups))
        case StopHit():
            return _hit(notice, label, await lookups.unsent(notice.broker_id))
        case Unprotected():
            return await _unprotected(notice, label, lookups)
        case ProtectedAgain():
            return _protected_again(notice, label)
        case AlarmOver():
            return await _over(notice, label, lookups)
        case _:
            assert_never(notice)


async def _stands(notice: StopCancelled | Unprotected, lookups: Lookups) -> str:
    """Return what is at risk, in rupees."""
    return await lookups.open_words(notice.broker_id, notice.instrument, notice.product)


def _to_positions(broker_id: str) -> Keyboard:
    return ((button("Positions", Verb.POSITIONS, broker_id),),)


def _put_back(notice: StopCancelled | Unprotected) -> InlineKeyboardButton:
    key = handle(f"{notice.instrument}|{notice.product}")
    return button("Put the stop back", Verb.RESTORE_STOP, notice.broker_id, key)


def _denied(notice: ExitDenied, label: str) -> Screen:
    guard = (
        "Its stop keeps resting at the broker."
        if notice.has_stop
        else "No stop at the broker covers all of it."
    )
    return Screen(
        join(
            f"⚠️ {bold(f'Exit not sent · {label}')}",
            f"{bold(brief(notice.instrument))}: {esc(short(brief(notice.reason), LONG))}. {guard} "
            "I keep trying.",
        ),
        _to_positions(notice.broker_id),
    )


def _restored(notice: StopRestored, label: str) -> Screen:
    return Screen(
        join(
            f"⚠️ {bold(f'Exit failed · {label}')}",
            f"{bold(brief(notice.instrument))}: {esc(short(brief(notice.reason), LONG))}. Its stop "
            f"is back at the broker at {price(notice.trigger_price)}, and I try the exit again.",
        ),
        _to_positions(notice.broker_id),
    )


def _changed(notice: StopChanged, label: str) -> Screen:
    moved = notice.old_trigger != notice.new_trigger
    was = f" (it was {price(notice.old_trigger)})" if moved else ""
    at = price(notice.new_trigger)
    return Screen(
        join(
            f"⚠️ {bold(f'Stop changed · {label}')}",
            f"{bold(brief(notice.instrument))}: its stop is now for "
            f"{plural(notice.quantity, 'unit')} at {at}{was}. I keep that price "
            "for today, and see that all units are covered.",
        ),
        _to_positions(notice.broker_id),
    )


def _cancelled(notice: StopCancelled, label: str, stands: str) -> Screen:
    who = (
        f"the broker cancelled its stop twice ({esc(short(brief(notice.reason), LONG))})"
        if notice.reason
        else "its stop was cancelled at the broker, not by me"
    )
    back = _put_back(notice)
    return Screen(
        join(
            f"⚠️ {bold(f'Stop gone · {label}')}",
            f"{bold(brief(notice.instrument))}: {who}. I do not place it again by myself. "
            f"Meanwhile I watch the price for {price(notice.trigger_price)}: that works only while "
            f"I run and the account is logged in and not paused.{stands}",
        ),
        ((back,), *_to_positions(notice.broker_id)),
    )


def _hit(notice: StopHit, label: str, unsent: str) -> Screen:
    then = (
        f"Nothing is sent there now ({esc(unsent)}): close it in the broker's app."
        if unsent
        else "I close it at the market now."
    )
    return Screen(
        join(
            f"🛑 {bold(f'Stop hit · {label}')}",
            f"{_position(notice)}, stop {price(notice.trigger_price)}: {esc(notice.how)}. {then}",
        ),
        _to_positions(notice.broker_id),
    )


async def _unprotected(notice: Unprotected, label: str, lookups: Lookups) -> Screen:
    stands = await _stands(notice, lookups)
    logins = await lookups.login_rows(await lookups.accounts([notice.broker_id]))
    rows: Keyboard = (*logins, *_to_positions(notice.broker_id))
    if logins:
        what_to_do = (
            "Log in, or set a stop or close it in the broker's app: until then I send nothing."
        )
    elif notice.can_put_back:
        rows = ((_put_back(notice),), *rows)
        what_to_do = "Put its stop back, or close it in Positions."
    else:
        what_to_do = "Close it in Positions, or set a stop in the broker's app."
    return Screen(
        join(
            f"⚠️ {bold(f'Unprotected · {label}')}",
            f"{_position(notice)}: {esc(short(notice.why, LONG))}.{stands}",
            what_to_do,
        ),
        rows,
    )


def _protected_again(notice: ProtectedAgain, label: str) -> Screen:
    return Screen(
        join(
            f"✅ {bold(f'Protected again · {label}')}",
            f"{_position(notice)}: {esc(short(notice.how, LONG))}.",
            _was_bare(notice),
        )
    )


_WAS = {
    "unprotected": "{} was unprotected",
    "stop_cancelled": "The stop of {} was gone",
    "software_stop": "The stop of {} did not rest at the broker",
    "exit_denied": "The exit of {} could not be sent",
    "stop_restored": "The exit of {} had failed",
    "exit_waits": "An order of {} waited for the open",
    "square_off_alarm": "{} was open after the square-off",
    "cancel_refused": "An order of {} was in the way",
    "order_unlisted": "An order of {} was not listed",
    "unowned_position": "{} was open and owned by no strategy",
    "ledgers_left": "{} was left over",
    "orders_left_resting": "Orders of the strategies may have been left",
    "anomaly": "Entries were stopped after an impossible event",
    "account_parked": "Nothing was sent",
    "poller_trouble": "Reading Telegram was in trouble",
    "instruments_old": "{}'s list of instruments was missing",
    "backup_missed": "The backup could not be made",
    "day_unknown": "The hours of {} were not known",
    "no_data": "{} had no market data",
    "source_silent": "{} did not answer for prices",
}
"""What was so, by the kind of the alarm that said it."""


async def _over(notice: AlarmOver, label: str, lookups: Lookups) -> Screen:
    subject = day_words(brief(notice.subject))
    if notice.alarm == "no_data":
        subject = lookups.strategy_title(notice.subject)
    was = _WAS.get(notice.alarm, "That was told").format(bold(short(subject, LONG)))
    since = f" from {clock_time(notice.since)} on" if notice.since else ""
    title = f"Over · {label}" if notice.broker_id else "Over"
    return Screen(f"✅ {bold(title)}\n{was}{since}: {esc(notice.how)}.")


def _was_bare(notice: ProtectedAgain) -> str | None:
    """Return what this message has taken the place of: nobody may miss that it was so."""
    if notice.since is None:
        return None
    why = f": {esc(short(notice.was, LONG))}" if notice.was else ""
    return f"It was unprotected from {clock_time(notice.since)}{why}."


def _position(notice: StopHit | Unprotected | ProtectedAgain) -> str:
    """Return what is held and whose it is: ``NSE:SBIN +10 (trend)`` (escaped)."""
    whose = strategy_words(notice.strategy)
    return f"{bold(brief(notice.instrument))} {notice.quantity:+d} ({esc(whose)})"
