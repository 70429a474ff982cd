"""The controller itself: health, settings, readiness for the day, help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from bot.views.callbacks import handle
from bot.views.markup import bold, clock_time, day_time, esc, join, short
from bot.views.paging import fitting, page_row, paged
from bot.views.rows import ListRow, laid_out
from bot.views.screen import REFRESH, Screen, button, grid
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted, labelled
from bot.views.words import plural, token_state
from core.domain.account import Account
from core.domain.money import rupees
from core.domain.views import LATE_TURN_S, AccountHealth, HealthView, LoopLag, Readiness

__all__ = [
    "AUTOMATIC",
    "health_screen",
    "help_screen",
    "label_of",
    "readiness_lines",
    "setting_choices",
    "setting_question",
    "settings_screen",
    "value_of",
]

_TROUBLES = 1200
"""The room of all troubles of the controller."""
_TROUBLE = 300
_CAPITAL = "capital|"
_DATA_ACCOUNT = "data_account"
_DAY_SUMMARY = "day_summary"
_MOST_CHOICES = 30
AUTOMATIC = "automatic"
_HEAD = "Capital, for sizes in percent:"


def health_screen(health: HealthView, chat_trouble: str, page: int = 0) -> Screen:
    """Return the state of the controller; troubles come first, and accounts with any."""
    troubles = [*health.troubles, *([chat_trouble] if chat_trouble else [])]
    if health.outbox_dead:
        troubles.append(
            f"{plural(health.outbox_dead, 'message')} could not be delivered. They come when the "
            "chat that they are for writes to me."
        )
    lines = [f"⚠️ {esc(one)}" for one in troubles] or ["✅ No trouble known."]
    told = fitting(lines, len(lines), _TROUBLES)
    if told < len(lines):
        lines = [*lines[:told], f"… and {len(lines) - told} more."]
    sick_first = sorted(health.accounts, key=lambda one: not (one.trouble or one.unresolved))
    texts = [join(_account_lines(one)) for one in sick_first]
    accounts, at, pages = paged(texts, page, texts=texts)
    text = join(
        bold("Health"),
        lines,
        "",
        esc(health.session_note[:1].upper() + health.session_note[1:]),
        f"Market time: {day_time(health.market_now)} IST",
        f"Running since: {day_time(health.started_at, health.market_now)} IST",
        f"Database: {esc(health.store_kind)}",
        labelled("Market data from", esc(health.data_account or "no account")),
        f"Messages waiting: {health.outbox_waiting}",
        _loop(health.loop) if health.loop else None,
        ["", *accounts] if accounts else None,
    )
    refresh = button(REFRESH, Verb.HEALTH, *((at,) if at else ()))
    return Screen(text, (*page_row(at, pages, Verb.HEALTH), (refresh,)))


def _account_lines(one: AccountHealth) -> list[str]:
    """Return how an account's connection does, what is wrong with it on lines of their own."""
    read = f"read {clock_time(one.last_read_at, seconds=True)}"
    unknown = f"{plural(one.unresolved, 'order')} with an unknown outcome"
    return [
        bold(one.account.label),
        fitted(token_state(one.account), read, _updates(one), indent=INDENT),
        *([f"{INDENT}⚠️ {esc(short(one.trouble, _TROUBLE))}"] if one.trouble else []),
        *([f"{INDENT}❓ {unknown}"] if one.unresolved else []),
    ]


def _loop(lag: LoopLag) -> str:
    """Return how long others had to wait for what the controller was busy with."""
    late = f", {plural(lag.late, 'time')} over {LATE_TURN_S * 1000:.0f} ms" if lag.late else ""
    return labelled("Longest wait inside", f"{lag.worst_ms:.0f} ms{late}")


def _updates(one: AccountHealth) -> str:
    """Return how order updates come: pushed, or that they are asked for, and why."""
    if one.is_live or one.polled_since is None:
        return f"order updates: {'live' if one.is_live else 'asked for'}"
    since = clock_time(one.polled_since, seconds=True)
    return f"order updates: asked for since {since}: {esc(one.polled_why)}"


def label_of(name: str, accounts: Sequence[Account] = (), *, is_short: bool = False) -> str:
    """Return a setting's name as the chat shows it: ``capital|ID`` is an account's capital.

    ``is_short`` leaves out the word that stands above the capitals.
    """
    what, bar, broker_id = name.partition("|")
    label = what.replace("_", " ").strip().capitalize() or name
    whose = next((one.label for one in accounts if one.broker_id == broker_id), broker_id)
    return whose if bar and is_short else f"{label} of {whose}" if bar else label


def value_of(name: str, value: str) -> str:
    """Return a setting's value as the chat shows it: a capital as ``₹2,50,000``."""
    if not name.startswith(_CAPITAL):
        return value or "not set"
    try:
        return rupees(Decimal(value), paise=False)
    except InvalidOperation:
        return AUTOMATIC


def setting_choices(name: str, accounts: Sequence[Account]) -> dict[str, str]:
    """Return what a setting may be set to with a tap: the label of each, by what is set."""
    if name == _DAY_SUMMARY:
        return {"on": "on", "off": "off"}
    if name == _DATA_ACCOUNT:
        live = [one for one in accounts if not one.broker.is_paper][:_MOST_CHOICES]
        return {AUTOMATIC: AUTOMATIC, **{one.broker_id: one.label for one in live}}
    return {AUTOMATIC: AUTOMATIC} if name.startswith(_CAPITAL) else {}


def setting_question(name: str, value: str, accounts: Sequence[Account] = ()) -> Screen:
    """Return the question for a setting's new value: what it is for, and what may be sent."""
    label, now = label_of(name, accounts), value_of(name, value)
    asked = f"{bold(label)} is {bold(now)}."
    if name.startswith(_CAPITAL):
        hint = (
            "Sizes in percent count from it. Send an amount in rupees, like "
            f"<code>2,50,000</code>, or tap {AUTOMATIC}: the funds at the start of each day."
        )
    elif name == _DATA_ACCOUNT:
        hint = "Candles and prices come from it. Tap an account, or send its name."
    elif name == _DAY_SUMMARY:
        hint = "It comes after the close: trades, result, what is open."
    else:
        hint = f"Send the new value for {bold(label)}."
    choices = [
        button(
            f"{'• ' if words == now else ''}{words[:1].upper()}{words[1:]}",
            Verb.PICK_SETTING,
            handle(name),
            handle(choice),
        )
        for choice, words in setting_choices(name, accounts).items()
    ]
    rows = (*grid(choices, 2), (button("« Leave it", Verb.SETTINGS),))
    return Screen(join(asked, hint), rows)


def settings_screen(
    settings: Mapping[str, str], accounts: Sequence[Account] = (), page: int = 0
) -> Screen:
    """Return the changeable settings, a button each."""
    labels = {name: label_of(name, accounts) for name in settings}
    values = {name: bold(value_of(name, value)) for name, value in settings.items()}
    capitals = [name for name in settings if name.startswith(_CAPITAL)]
    rows = [
        ListRow(esc(label_of(one, accounts, is_short=True)), (values[one],)) for one in capitals
    ]
    lines = {
        **{f"{name}": labelled(esc(labels[name]), values[name]) for name in settings},
        **dict(zip(capitals, laid_out(rows, indent=INDENT), strict=True)),
    }
    shown, at, pages = paged(list(lines), page, texts=list(lines.values()))
    first = next((one for one in shown if one in capitals), None)
    texts = [text for one in shown for text in ([_HEAD] if one == first else []) + [lines[one]]]
    buttons = [button(labels[name], Verb.ASK_SETTING, handle(name)) for name in shown]
    return Screen(
        join(bold("Settings"), texts or "Nothing can be changed here."),
        (*grid(buttons, 1), *page_row(at, pages, Verb.SETTINGS)),
    )


def readiness_lines(lines: Sequence[Readiness]) -> list[str]:
    """Return a line for each account: is it ready for the day? (B9)."""
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
            "Every morning: /login, one tap per account.",
            "To close everything and stop: /panic, or type STOP.",
            "To send nothing at all and close nothing: /mode, then All: Paused.",
            "Or type what you want: <code>close sbin</code>, <code>pause all</code>, "
            "<code>resume</code>. I ask before I do it.",
        )
    )
