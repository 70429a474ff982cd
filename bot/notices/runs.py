"""The messages of notices about runs of strategies."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from bot.notices.lookups import Lookups
from bot.notices.result_guards import guard_notice
from bot.views.callbacks import handle
from bot.views.lines import brief
from bot.views.many_runs import runs_card
from bot.views.markup import LONG, bold, clock_time, esc, join, sentence, short
from bot.views.runs import closing_lines, run_card
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from core.domain.bare_lines import bare_lines
from core.domain.mode import TradingMode
from core.domain.notices.runs import (
    DataMissing,
    InstrumentGone,
    RunCard,
    RunFailed,
    RunNotice,
    RunsTogether,
    SlotMissed,
    StrategyDisabled,
)
from core.engine.control.views import Protected
from core.errors import NotFound

__all__ = ["run_notice"]

_MINUTES_FROM_S = 180
_NOTHING_SENT = "nothing is sent"


async def run_notice(notice: RunNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about a run."""
    match notice:
        case RunCard():
            return await _card(notice, lookups)
        case RunsTogether():
            return await _together(notice, lookups)
        case SlotMissed():
            return await _missed(notice, lookups)
        case DataMissing():
            return await _no_data(notice, lookups)
        case RunFailed():
            return await _failed(notice, lookups)
        case StrategyDisabled():
            return await _disabled(notice, lookups)
        case InstrumentGone():
            return await _gone(notice, lookups)
        case _:
            assert_never(notice)


async def _card(notice: RunCard, lookups: Lookups) -> Screen:
    run = await lookups.control.views.run(notice.run_id)
    if run.fired is not None:
        # The message of the guard, and below it what it closes.
        screen = await guard_notice(run.fired, lookups, is_over=not run.is_closing)
        closed = closing_lines(run.parts)
        head = ["", "What it closes, and what that alone brings:"] if closed else None
        return Screen(join(screen.text, head, closed), screen.rows, bare_lines(run))
    return replace(run_card(run, lookups.strategy_title(run.strategy)), bare=bare_lines(run))


async def _together(notice: RunsTogether, lookups: Lookups) -> Screen:
    runs = []
    views, seen = lookups.control.views, Protected()
    for run_id in notice.run_ids:
        with suppress(NotFound):  # one that is kept no longer takes no other with it
            run = await views.run(run_id, seen)
            runs.append((run, lookups.strategy_title(run.strategy)))
        await asyncio.sleep(0)  # orders go before cards: reading forty runs takes a while
    if not runs:
        raise NotFound("I keep these runs no longer.")
    return replace(runs_card(runs), bare=bare_lines(*(run for run, _ in runs)))


async def _missed(notice: SlotMissed, lookups: Lookups) -> Screen:
    title = lookups.strategy_title(notice.strategy)
    at, lost = clock_time(notice.slot_at), _lost(notice)
    if notice.may_enter:
        text = f"it {lost}, so nothing was entered then. The run of {at} is in time"
        return Screen(f"⏰ {bold(title)}: {text}{_in_time(notice)}.")
    more = f" Before, it {lost}, and nothing was entered then either." if notice.missed else ""
    text = f"the run of {at} came {_late(notice.late_s)} late{_too_late(notice)}.{more}"
    return Screen(f"⏰ {bold(title)}: {text}")


def _lost(notice: SlotMissed) -> str:
    """Return from when to when nothing was run: how many runs that were says nobody anything."""
    if notice.first_at is None or notice.last_at is None:
        return "missed a run" if notice.missed == 1 else f"missed {notice.missed} runs"
    first, last = clock_time(notice.first_at), clock_time(notice.last_at)
    return f"did not run at {first}" if first == last else f"did not run from {first} to {last}"


def _in_time(notice: SlotMissed) -> str:
    # Most say themselves what follows: "exit only: nothing is entered", "paused: nothing is sent".
    why = esc(short(notice.kept_out, LONG))
    if notice.is_silent and _NOTHING_SENT not in why:
        return f", but {_NOTHING_SENT}: {why}"
    return f", but {why}" if why else " and enters as usual"


def _too_late(notice: SlotMissed) -> str:
    why = esc(short(notice.kept_out, LONG))
    if notice.is_silent:
        return f", and nothing is sent: {why}"
    if why:
        return f" and only exits, as it would on time ({why})"
    return ", so it only exits: its entries are dropped"


def _late(seconds: int) -> str:
    """Return a delay in seconds, or in minutes when it is long."""
    return f"{seconds} s" if seconds < _MINUTES_FROM_S else f"{seconds // 60} min"


async def _no_data(notice: DataMissing, lookups: Lookups) -> Screen:
    title = lookups.strategy_title(notice.strategy)
    if notice.others_run:
        return Screen(
            f"📉 {bold(title)}: {esc(short(brief(notice.detail), LONG))}. The others are run."
        )
    detail = f" {esc(sentence(brief(notice.detail)))}" if notice.detail else ""
    return Screen(
        f"📉 {bold(title)}: no fresh market data, so nothing is entered.{detail} Is the data "
        "account in /settings logged in?"
    )


async def _gone(notice: InstrumentGone, lookups: Lookups) -> Screen:
    title = lookups.strategy_title(notice.strategy)
    said = brief(notice.reason)
    reason = said if said.endswith("?") else f"{said}."
    return Screen(
        f"🔎 {bold(title)}: {esc(short(reason, LONG))} It is not entered.",
        ((button("Parameters", Verb.PARAMETERS, handle(notice.strategy)),),),
    )


async def _failed(notice: RunFailed, lookups: Lookups) -> Screen:
    title = lookups.strategy_title(notice.strategy)
    return Screen(
        f"⚠️ {bold(title)}: the run failed, nothing was sent. Look at its parameters and at the "
        f"log: {esc(short(brief(notice.detail), LONG))}",
        ((button("Open strategy", Verb.STRATEGY, handle(notice.strategy)),),),
    )


async def _disabled(notice: StrategyDisabled, lookups: Lookups) -> Screen:
    title = lookups.strategy_title(notice.strategy)
    is_paused = await lookups.control.modes.global_mode() is TradingMode.PAUSED
    keeps = (
        "All accounts are paused, so nothing is sent for what it holds either"
        if is_paused
        else "What it holds keeps its stops, guards and square-off"
    )
    return Screen(
        f"🛑 {bold(title)} is disabled: {notice.strikes} times in a row it hung or crashed while "
        f"it decided; the last: {esc(short(notice.detail, LONG))}. It runs no more until you "
        f"enable it. {keeps}; close it in /positions if you do not want to wait.",
        ((button("Open strategy", Verb.STRATEGY, handle(notice.strategy)),),),
    )
