"""The controller itself: health, settings, readiness, help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.callbacks import handle
from bot.markup import bold, clock_time, code, day_time, esc, join
from bot.screen import Screen, button, grid
from bot.words import plural, token_state
from core.domain.account import Account
from core.domain.money import rupees
from core.domain.views import HealthView, Readiness

__all__ = ["health_screen", "help_screen", "label_of", "readiness_lines", "settings_screen"]


def health_screen(health: HealthView, chat_trouble: str) -> Screen:
    """Return how the controller does; troubles lead."""
    troubles = [*health.troubles, *([chat_trouble] if chat_trouble else [])]
    lines = [f"⚠️ {esc(one)}" for one in troubles] or ["✅ No trouble known."]
    accounts = []
    for one in health.accounts:
        trouble = f" · ⚠️ {esc(one.trouble)}" if one.trouble else ""
        open_questions = (
            f" · ❓ {plural(one.unresolved, 'order')} with unknown fate" if one.unresolved else ""
        )
        accounts.append(
            f"{bold(one.account.label)}: {token_state(one.account)}, "
            f"read {clock_time(one.last_read_at, seconds=True)}{trouble}{open_questions}"
        )
    text = join(
        bold("Health"),
        lines,
        "",
        f"Market: {esc(health.session_note)}",
        f"Market time: {day_time(health.market_now)} IST",
        f"Running since: {day_time(health.started_at)} IST",
        f"Database: {esc(health.store_kind)}",
        f"Market data from: {esc(health.data_account or 'no account')}",
        f"Messages waiting: {health.outbox_waiting}",
        ["", *accounts] if accounts else None,
    )
    return Screen(text, ((button("🔄 Refresh", "health"),),))


def label_of(name: str, accounts: Sequence[Account] = ()) -> str:
    """Return a setting's name as a person reads it: ``capital|ID`` is an account's capital."""
    what, bar, broker_id = name.partition("|")
    label = what.replace("_", " ").strip().capitalize() or name
    whose = next((one.label for one in accounts if one.broker_id == broker_id), broker_id)
    return f"{label} of {whose}" if bar else label


def settings_screen(settings: Mapping[str, str], accounts: Sequence[Account] = ()) -> Screen:
    """Return the changeable settings, a button each."""
    labels = {name: label_of(name, accounts) for name in settings}
    lines = [f"{esc(labels[name])}: {bold(value or 'not set')}" for name, value in settings.items()]
    buttons = [button(labels[name], "set", handle(name)) for name in settings]
    return Screen(
        join(bold("Settings"), lines or "Nothing can be changed here."),
        grid(buttons, 1),
    )


def readiness_lines(lines: Sequence[Readiness]) -> list[str]:
    """Return a line for each account: may the day begin? (B9)."""
    shown = []
    for one in lines:
        icon = "✅" if one.is_ready else "⚠️"
        funds = "" if one.funds is None else f" · {rupees(one.funds, paise=False)}"
        data = {True: " · data ok", False: " · no market data", None: ""}[one.has_data]
        note = f" · {esc(one.note)}" if one.note else ""
        shown.append(f"{icon} {bold(one.account.label)}{funds}{data}{note}")
    return shown


def help_screen(commands: Sequence[tuple[str, str]]) -> Screen:
    """Return all commands with what they are for."""
    lines = [f"/{name} — {esc(summary)}" for name, summary in commands]
    return Screen(
        join(
            bold("What I can do"),
            lines,
            "",
            f"Every morning: {code('/login')}, one tap per account.",
            f"To stop everything: {code('/mode')}, then Paused.",
        )
    )
