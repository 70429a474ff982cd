"""Accounts: the list, the page of one account, and the questions before it is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from telegram import InlineKeyboardButton

from bot.views.lines import ROWS, order_lines, position_lines
from bot.views.markup import bold, code, day_time, esc, join
from bot.views.paging import fitting, page_row, paged
from bot.views.paper import WHAT_IT_IS
from bot.views.screen import DANGER, PRIMARY, REFRESH, SUCCESS, Keyboard, Screen, button
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted, labelled
from bot.views.words import MODE, plural, token_state
from core.domain.account import PAPER_MARK, Account, DisablePolicy
from core.domain.identifiers import PAPER
from core.domain.mode import TradingMode, stricter
from core.domain.shared_address import way_out
from core.domain.views import ExposureView

__all__ = [
    "DISABLE_CHOICES",
    "account_page",
    "accounts_list",
    "banner",
    "banners",
    "begun_by_login",
    "disable_question",
    "disconnect_question",
    "exposure_lines",
    "held_line",
    "name_question",
    "parked_line",
    "spaced",
    "switcher",
    "welcome",
]

DISABLE_CHOICES: Mapping[str, str] = {
    DisablePolicy.EXITS_ONLY.value: "Let strategies exit them",
    DisablePolicy.CLOSE_NOW.value: "Close them all now",
    DisablePolicy.MANUAL.value: "I manage them, without their stops",
}
_SHOWN = 8
_BANNERS = 3
_HALF = 1300
"""The room of positions, and that of orders, in a question about both."""
_FIRST_ROWS: Keyboard = (
    (button(f"{PAPER_MARK}Try with a paper account", Verb.ADD_ACCOUNT, PAPER, style=PRIMARY),),
    (button("➕ Add account", Verb.ADD_ACCOUNT, style=PRIMARY),),
)
"""What somebody without an account is offered."""


def banner(account: Account) -> str | None:
    """Return the warning that starts every view of an account without a login (B7)."""
    if not account.needs_login:
        return None
    return (
        f"⚠️ {bold('Dashboard data may be incomplete')}: token not refreshed for "
        f"{bold(account.display_name)}."
    )


def banners(accounts: Sequence[Account]) -> list[str]:
    """Return the warnings of several accounts; of many, one for all of them."""
    waiting = [one for one in accounts if one.needs_login]
    if len(waiting) <= _BANNERS:
        return [found for one in waiting if (found := banner(one)) is not None]
    names = ", ".join(bold(one.display_name) for one in waiting[:_BANNERS])
    more = f"{names} and {plural(len(waiting) - _BANNERS, 'more account')}"
    return [f"⚠️ {bold('Dashboard data may be incomplete')}: token not refreshed for {more}."]


def begun_by_login(screen: Screen, account: Account, login: InlineKeyboardButton) -> Screen:
    """Return a view of an account that begins with its warning and its login button (B7)."""
    text = join(spaced(banner(account)), screen.text)
    return replace(screen, text=text, rows=((login,), *screen.rows))


def spaced(*lines: str | None) -> list[str]:
    """Return the lines that are not None, with a blank line after them."""
    found = [line for line in lines if line is not None]
    return [*found, ""] if found else []


def parked_line(account: Account) -> str | None:
    """Return why an account is parked, or None."""
    return f"⏸ Waiting: {esc(account.parked_reason)}" if account.parked_reason else None


def switcher(
    accounts: Sequence[Account], selected: str, verb: Verb
) -> tuple[tuple[InlineKeyboardButton, ...], ...]:
    """Return rows of account buttons, the selected one marked; nothing for a single account."""
    if len(accounts) <= 1:
        return ()
    buttons = [
        button(("• " if one.broker_id == selected else "") + one.short_label, verb, one.broker_id)
        for one in accounts
    ]
    return tuple(tuple(buttons[at : at + 3]) for at in range(0, len(buttons), 3))


def _summary(account: Account, global_mode: TradingMode) -> str:
    mark = " ⭐ default" if account.is_default else ""
    state = "🟢 enabled" if account.enabled else "⚪ disabled"
    mode = MODE[stricter(account.trading_mode, global_mode)]
    token = ("⚠️ " if account.needs_login else "") + token_state(account)
    return join(
        f"{bold(account.label)}{mark}",
        fitted(state, mode, token, indent=INDENT),
        parked_line(account),
    )


def toggle_button(account: Account, label: str) -> InlineKeyboardButton:
    """Return the button that enables or disables; its label says what a tap does."""
    if account.enabled:
        return button(f"Disable{label}", Verb.DISABLE_ACCOUNT, account.broker_id)
    return button(f"Enable{label}", Verb.ENABLE_ACCOUNT, account.broker_id, style=SUCCESS)


def accounts_list(
    accounts: Sequence[Account],
    global_mode: TradingMode,
    logins: Mapping[str, InlineKeyboardButton],
    page: int = 0,
) -> Screen:
    """Return all accounts with the buttons of daily use, ten on a page (A4)."""
    if not accounts:
        return Screen(
            f"{bold('No account yet')}\n{WHAT_IT_IS} A broker's takes about five minutes.",
            _FIRST_ROWS,
        )
    rows: list[tuple[InlineKeyboardButton, ...]] = []
    lines = [_summary(one, global_mode) for one in accounts]
    shown, at, pages = paged(accounts, page, texts=lines)
    for one in shown:
        if one.broker_id in logins:
            rows.append((logins[one.broker_id],))
        name = f" {one.short_label}"
        rows.append(
            (toggle_button(one, name), button(f"Edit{name} …", Verb.ACCOUNT, one.broker_id))
        )
    rows.extend(page_row(at, pages, Verb.ACCOUNTS))
    refresh = button(REFRESH, Verb.ACCOUNTS, at) if at else button(REFRESH, Verb.ACCOUNTS)
    rows.append((button("➕ Add account", Verb.ADD_ACCOUNT), refresh))
    note = None
    if global_mode is not TradingMode.NORMAL:
        note = f"The mode of all is {bold(MODE[global_mode])}; it holds for every account.\n"
    lines = [_summary(one, global_mode) for one in shown]
    return Screen(join(bold("Your accounts"), note, lines), tuple(rows))


def _login_words(account: Account, now: datetime | None) -> str:
    if account.token_generated_at is None:
        return f"Login: {token_state(account)}"
    state = token_state(account).removeprefix("login ")
    return fitted(f"Login: {state}", f"last {day_time(account.token_generated_at, now)}")


def account_page(
    account: Account,
    global_mode: TradingMode,
    login: InlineKeyboardButton | None,
    now: datetime | None = None,
) -> Screen:
    """Return the page of one account, with a button for each action.

    Args:
        account: The account.
        global_mode: The mode that holds for all accounts.
        login: Its login button; None for a paper account, which has no login.
        now: Spares what was today its date.
    """
    effective = stricter(account.trading_mode, global_mode)
    is_own = effective is account.trading_mode
    stricter_by = "" if is_own else f"the mode of all makes it {MODE[effective]}"
    text = join(
        spaced(banner(account)),
        f"{bold(account.label)}{' ⭐ default' if account.is_default else ''}",
        f"Strategies: {'enabled' if account.enabled else 'disabled'}"
        + (" (may still close what they hold)" if account.drain and not account.enabled else ""),
        fitted(f"Mode: {MODE[account.trading_mode]}", stricter_by),
        _connection_lines(account, now),
        f"Last strategy run: {day_time(account.last_run_at, now)}",
        f"⚠️ Nothing is entered: {esc(account.address_trouble)}"
        if account.address_trouble
        else None,
        parked_line(account),
    )
    key = account.broker_id
    default = () if account.is_default else (button("Set default", Verb.SET_DEFAULT, key),)
    strategies = (button("Strategies", Verb.STRATEGIES),) if account.enabled else ()
    rows: Keyboard = (
        *_login_rows(account, login),
        (toggle_button(account, ""), button("Rename", Verb.ASK_NAME, key)),
        (button("Mode", Verb.MODES, key), *strategies, *default),
        *_connection_rows(account),
        (
            button("Disconnect", Verb.ASK_DISCONNECT, key, style=DANGER),
            button("« Accounts", Verb.ACCOUNTS),
        ),
    )
    return Screen(text, rows)


def _connection_lines(account: Account, now: datetime | None) -> list[str]:
    """Return how an account stands with its broker; a paper account has none."""
    if account.broker.is_paper:
        return ["Paper money: I fill orders myself; they reach no broker."]
    user = account.user_name or account.user_id
    return [
        _login_words(account, now),
        *([f"User: {esc(user)}"] if user else []),
        f"API key: {code(account.api_key)}",
        labelled("Orders leave from", esc(way_out(account))),
    ]


def _login_rows(account: Account, login: InlineKeyboardButton | None) -> Keyboard:
    if account.broker.is_paper or login is None:
        return ()
    refresh = button("Renew login", Verb.LOGIN, account.broker_id)
    return ((login if account.needs_login else refresh,),)


def _connection_rows(account: Account) -> Keyboard:
    key = account.broker_id
    dashboard = button("Dashboard", Verb.DASHBOARD, key)
    if account.broker.is_paper:
        return ((dashboard, button("Paper money", Verb.ASK_PAPER_MONEY, key)),)
    return (
        (button("Key and secret", Verb.ASK_RENEWAL, key), button("Address", Verb.ADDRESS, key)),
        (dashboard, button("Share login", Verb.SHARE_LOGIN, key)),
    )


def exposure_lines(exposure: ExposureView) -> list[str]:
    """Return an account's positions and working orders, the first few in full."""
    lines: list[str] = []
    if not exposure.is_known:
        lines.append("⚠️ The broker could not be read just now, so this may be incomplete.")
    known = "" if exposure.is_known else " known"
    positions, working = exposure.positions, exposure.working
    lines.append(
        bold(f"{plural(len(positions), 'open position')}") if positions else f"No positions{known}."
    )
    held, orders = position_lines(positions), order_lines(working)
    first = fitting(held, _SHOWN, _HALF)
    second = fitting(orders, _SHOWN, _HALF)
    lines.extend(held[:first])
    lines.extend([ROWS] if positions else [])
    lines.append(
        bold(f"{plural(len(working), 'working order')}")
        if working
        else f"No working orders{known}."
    )
    lines.extend(orders[:second])
    hidden = len(held) - first + len(orders) - second
    if hidden:
        lines.append(f"… and {hidden} more, see the dashboard.")
    return lines


def held_line(exposure: ExposureView) -> str | None:
    """Return what nothing is sent for while the account has no login, or None."""
    held = len(exposure.positions) or len(exposure.strategy_positions)
    if not held:
        return None
    it = "it" if held == 1 else "them"
    return (
        f"⚠️ {bold(plural(held, 'position'))} held: until you have logged in again I can neither "
        f"close nor protect {it}. Stops that rest at the broker stay there."
    )


def disable_question(exposure: ExposureView) -> str:
    """Return the question before an account with strategies' positions is disabled (A5)."""
    held = exposure.strategy_positions
    lines = position_lines(held)
    shown = fitting(lines, _SHOWN)
    return join(
        bold(f"Disable {exposure.account.label}?"),
        f"Strategies hold {plural(len(held), 'position')} there:",
        lines[:shown],
        f"… and {len(lines) - shown} more, see the dashboard." if len(lines) > shown else None,
        ROWS,
        "",
        "What should happen to them?",
    )


def disconnect_question(exposure: ExposureView, *, is_last: bool) -> str:
    """Return the question before an account is disconnected (A8)."""
    account = exposure.account
    next_default = "\nAnother account becomes the default." if account.is_default else ""
    what = (
        "Its positions, orders and paper money are forgotten. Its history stays."
        if account.broker.is_paper
        else "I log out at the broker and forget its key, secret and token. Its history stays. "
        "Positions and orders at the broker stay as they are; nobody looks after them any more."
    )
    return join(
        bold(f"Disconnect {account.label}?"),
        what + ("" if is_last else next_default),
        "",
        exposure_lines(exposure),
    )


def name_question(account: Account) -> str:
    """Return the prompt for a new display name (A7)."""
    return (
        f"Send the new name for {bold(account.label)}: 1 to 40 characters, for example "
        f"{code('Main')}."
    )


def welcome(
    name: str,
    accounts: Sequence[Account],
    global_mode: TradingMode,
    logins: Mapping[str, InlineKeyboardButton],
) -> Screen:
    """Return the greeting (B5): the login button of an expired default account comes first."""
    hello = bold(f"Namaste {name}, I am Saarthi.")
    if not accounts:
        return Screen(
            join(
                hello,
                "I run your strategies on your broker accounts and keep you in charge from this "
                "chat.",
                "",
                WHAT_IT_IS,
            ),
            (*_FIRST_ROWS, (button("Help", Verb.HELP),)),
        )
    default = accounts[0]
    enabled = sum(one.enabled for one in accounts)
    waiting = sum(one.needs_login for one in accounts)
    lead = None
    rows: list[tuple[InlineKeyboardButton, ...]] = []
    if default.broker_id in logins:
        lead = f"⚠️ {bold(default.label)} needs today's login."
        rows.append((logins[default.broker_id],))
    others = waiting - (1 if lead else 0)
    noun = "other account" if lead else "account"
    more = f"⚠️ {plural(others, noun)} waiting for today's login: /login" if others else None
    rows.extend(
        (
            (
                button("Dashboard", Verb.DASHBOARD, default.broker_id),
                button("Accounts", Verb.ACCOUNTS),
            ),
            (button("Strategies", Verb.STRATEGIES), button("Mode", Verb.MODES)),
        )
    )
    text = join(
        hello,
        "",
        spaced(lead, more),
        f"{plural(len(accounts), 'account')}, {enabled} enabled. Mode of all: {MODE[global_mode]}.",
    )
    return Screen(text, tuple(rows))
