"""The messages of notices about Saarthi itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import assert_never

from bot.views.lines import brief
from bot.views.markup import bold, day_time, day_words, esc, join
from bot.views.screen import Screen
from bot.views.words import plural
from core.domain.host_clock import words
from core.domain.notices.system import (
    ClockRight,
    ClockWrong,
    InstrumentsOld,
    KeysInDanger,
    KeysSafe,
    MemoryDiffered,
    OwnerRemoved,
    PollerTrouble,
    ServiceCrashed,
    Started,
    SystemNotice,
    Text,
    Undelivered,
)

__all__ = ["system_notice"]

_SHOWN = 5
"""Of instruments in one sentence; /positions shows all."""


def system_notice(notice: SystemNotice) -> Screen:  # noqa: C901, PLR0911, PLR0912 - a line a kind
    """Return the message of a notice about Saarthi itself."""
    match notice:
        case PollerTrouble():
            return Screen(f"🚨 {esc(notice.text)}")
        case InstrumentsOld():
            return Screen(_instruments_old(notice))
        case Started():
            return Screen(_started(notice))
        case ServiceCrashed():
            return Screen(
                f"⚠️ A part of me stopped and is being restarted: {esc(notice.service)} "
                f"({esc(notice.error)}). The others go on. Once is harmless; if it comes again, "
                "look at /health and the log."
            )
        case Undelivered():
            return Screen(_undelivered(notice))
        case ClockWrong():
            return Screen(f"🕰 {_clock(notice.offset_s)}")
        case ClockRight():
            return Screen("🕰 This computer's clock agrees with the brokers' again.")
        case KeysInDanger():
            return Screen(f"🚨 {esc(notice.trouble)}")
        case KeysSafe():
            return Screen(
                "🔑 The key file is in order again: the next start can read what is stored."
            )
        case MemoryDiffered():
            return Screen(_differed(notice))
        case OwnerRemoved():
            return Screen(_removed(notice))
        case Text():
            return Screen(esc(notice.text))
        case _:
            assert_never(notice)


def _instruments_old(notice: InstrumentsOld) -> str:
    exits = (
        f"Exits go on with those of {esc(day_words(notice.known))}"
        if notice.known
        else "Exits go on where the broker needs no list for them"
    )
    return (
        f"⚠️ {esc(notice.broker)}'s list of instruments could not be loaded today "
        f"({esc(notice.reason)}). {exits}; entries wait for today's. I keep trying."
    )


def _clock(offset_s: int) -> str:
    size = words(timedelta(seconds=offset_s))
    return (
        f"This computer's clock is {size} by the brokers' answers; expected within 2 s. Set it by "
        "NTP: runs come at the wrong moment, and from 30 s on nothing is entered."
    )


def _differed(notice: MemoryDiffered) -> str:
    where = f"{plural(notice.documents, 'record')} of {esc(notice.collection)}"
    return (
        f"🚨 What I remembered was not what my database holds ({where}). I have read everything "
        "anew and stopped entries on all accounts; exits and stops go on. Compare /orders and "
        "/positions with the brokers, then set Normal under /mode."
    )


def _removed(notice: OwnerRemoved) -> str:
    who = f"{esc(notice.name)} ({notice.user_id})" if notice.name else f"User {notice.user_id}"
    return f"{who} was removed by {esc(notice.by)} and is served no more."


def _started(notice: Started) -> str:
    unknown, watched = notice.unknown_orders, notice.watched
    were, them = ("was", "it") if unknown == 1 else ("were", "them")
    return join(
        "🟢 I am running again." if unknown or watched else "🟢 I am running.",
        f"{plural(unknown, 'order')} {were} on the way when I stopped; the brokers are being asked "
        f"what became of {them}."
        if unknown
        else None,
        _watched(watched) if watched else None,
    )


def _watched(instruments: Sequence[str]) -> str:
    one = len(instruments) == 1
    more = len(instruments) - _SHOWN
    shown = [esc(brief(name)) for name in instruments[:_SHOWN]]
    names = ", ".join([*shown, f"{more} more"] if more > 0 else shown)
    stops, rest, them = ("stop", "rests", "it") if one else ("stops", "rest", "them")
    return (
        f"The {stops} of {names} {rest} at no broker: nobody watched {them} while I was stopped; "
        f"I watch {them} again."
    )


def _undelivered(notice: Undelivered) -> str:
    kinds = ", ".join(one.replace("_", " ") for one in notice.refused)
    return join(
        f"⚠️ {bold(f'Not delivered since {day_time(notice.since)}')}",
        f"{plural(notice.following, 'message')} that could not reach you follow now."
        if notice.following
        else None,
        f"Left out, because they are older: {notice.left_out}." if notice.left_out else None,
        f"Telegram accepts these in no form: {esc(kinds)}. The log has the details."
        if kinds
        else None,
        "/orders and /positions show how things stand.",
    )
