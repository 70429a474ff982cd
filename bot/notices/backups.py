"""The messages of notices about backups."""

from __future__ import annotations

from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.markup import LONG, bold, day_time, esc, join, sentence, short
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.words import plural
from core.domain.notices.backups import (
    BackupMissed,
    BackupNotice,
    RestoredCompared,
    StoreRestored,
)

__all__ = ["backup_notice"]

_SHOWN = 10
_NAME = 40


async def backup_notice(notice: BackupNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about backups."""
    match notice:
        case BackupMissed():
            return Screen(_missed(notice))
        case StoreRestored():
            keys = [button("Modes", Verb.MODES)]
            if notice.kept or notice.dropped:
                keys.append(button("Owners", Verb.OWNERS))
            return Screen(_restored(notice), (tuple(keys),))
        case RestoredCompared():
            label = await lookups.label(notice.broker_id)
            rows = ((button("Positions", Verb.POSITIONS, notice.broker_id),),)
            return Screen(_compared(notice, label), rows)
        case _:
            assert_never(notice)


def _missed(notice: BackupMissed) -> str:
    newest = (
        f"The newest is of {day_time(notice.newest)}." if notice.newest else "There is none yet."
    )
    return (
        f"💾 Today's backup could not be made: {esc(sentence(short(notice.reason, LONG)))} "
        f"{newest} I try again each hour."
    )


def _restored(notice: StoreRestored) -> str:
    panic = (
        "A panic was running then. It is not taken up: send /panic if you still want it."
        if notice.had_panic
        else None
    )
    return join(
        f"💾 {bold(f'Restored · backup of {day_time(notice.backup_at)}')}",
        "What happened since then is known to the brokers alone. Once you have logged in, I "
        f"compare {_whom(notice.accounts)} and say what I find.",
        "Until you set Normal every account is on Exit only; stops go on.",
        "No close goes on that was under way then, and links to log in are ended: make new ones.",
        panic,
        f"Served as they were then: {_names(notice.kept)}. Remove whoever should not be."
        if notice.kept
        else None,
        f"Not served any more: {_names(notice.dropped)}." if notice.dropped else None,
    )


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(esc(short(one, _NAME)) for one in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _whom(accounts: int) -> str:
    return "the account with its broker" if accounts == 1 else "each account with its broker"


def _compared(notice: RestoredCompared, label: str) -> str:
    shown = [f"• {esc(one)}" for one in notice.apart[:_SHOWN]]
    more = len(notice.apart) - _SHOWN
    orders = (
        f"{plural(notice.orders, 'order')} of today, sent by me after the backup: kept as not "
        "placed by Saarthi, and never sent again."
        if notice.orders
        else None
        if notice.stops
        else "No order of today is missing in the backup."
    )
    return join(
        f"💾 {bold(f'Compared with its broker · {label}')}",
        orders,
        f"{plural(notice.stops, 'stop')} that I sent after the backup: kept for what strategies "
        "hold."
        if notice.stops
        else None,
        "Held there, and not as strategies know it; close it, or keep it by hand:"
        if shown
        else "All that strategies hold is there, and of intraday and derivatives nothing else.",
        *shown,
        f"and {more} more" if more > 0 else None,
        "When all is as it should be, set Normal.",
    )
