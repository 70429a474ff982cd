"""The messages of notices about logins and tokens."""

from __future__ import annotations

from typing import assert_never

from telegram import InlineKeyboardButton

from bot.notices.lookups import Lookups
from bot.views.lines import held_list, planned_lines, terms_lines
from bot.views.markup import LONG, bold, esc, join, sentence, short
from bot.views.screen import SUCCESS, Keyboard, Screen, button
from bot.views.system import readiness_lines
from bot.views.verbs import Verb
from bot.views.width import INDENT
from bot.views.words import LOGIN_FAULT, login_detail
from core.domain.notices.logins import (
    LoginDone,
    LoginFailed,
    LoginNotice,
    LoginReopened,
    LoginSilent,
    MorningRound,
    TokenWarning,
)
from core.errors import LoginFault

__all__ = ["login_notice"]

_WAITS = "⏸ waits: "
_RENEWED = {LoginFault.WRONG_SECRET, LoginFault.KEY_UNKNOWN, LoginFault.SECRET_UNREADABLE}
"""What another key and secret may mend."""


async def login_notice(notice: LoginNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about logins."""
    match notice:
        case LoginDone():
            return await _done(notice, lookups)
        case LoginFailed():
            return await _failed(notice, lookups)
        case LoginReopened():
            return await _reopened(notice, lookups)
        case LoginSilent():
            return await _silent(notice, lookups)
        case MorningRound():
            return await _morning(lookups)
        case TokenWarning():
            return await _warning(notice, lookups)
        case _:
            assert_never(notice)


async def _done(notice: LoginDone, lookups: Lookups) -> Screen:
    account, key = await lookups.account(notice.broker_id), notice.broker_id
    label = account.label if account else key
    user = f" as {esc(notice.user_name)}" if notice.user_name else ""
    rows: Keyboard = ((button("Dashboard", Verb.DASHBOARD, key),),)
    following = None
    if account is not None and not account.enabled:
        # Its set-up goes on: what is to be done next is one tap away.
        following = "Strategies trade on it once you enable it."
        enable = button(f"Enable {account.short_label}", Verb.ENABLE_ACCOUNT, key, style=SUCCESS)
        rows = ((enable,), (*rows[0], button("➕ Add another", Verb.ADD_ACCOUNT)))
    return Screen(join(f"✅ {bold(label)} is logged in{user}.", following), rows)


async def _failed(notice: LoginFailed, lookups: Lookups) -> Screen:
    accounts = await lookups.accounts([notice.broker_id])
    label = accounts[0].label if accounts else "an account"
    text = join(
        f"⚠️ {bold(f'Login failed · {label}')}",
        esc(LOGIN_FAULT[notice.fault]),
        _detail(notice),
    )
    rows = await lookups.login_rows(accounts)
    if notice.fault in _RENEWED and accounts:
        rows = (_renewal(notice.broker_id), *rows)
    return Screen(text, rows)


def _renewal(broker_id: str) -> tuple[InlineKeyboardButton, ...]:
    return (button("Key and secret", Verb.ASK_RENEWAL, broker_id),)


def _detail(notice: LoginFailed) -> str | None:
    """Return what is known besides of a failed login, or None."""
    return esc(login_detail(notice.fault, short(notice.detail, LONG))) or None


async def _reopened(notice: LoginReopened, lookups: Lookups) -> Screen:
    label = await lookups.label(notice.broker_id)
    return Screen(
        f"{esc(label)}: a login that was used already was opened again; nothing was changed."
    )


async def _silent(notice: LoginSilent, lookups: Lookups) -> Screen:
    accounts = await lookups.accounts([notice.broker_id])
    label = await lookups.label(notice.broker_id)
    text = join(
        f"⏳ {bold(f'Login not finished · {label}')}",
        "It began five minutes ago and nothing came back. Is somebody else logged in at the "
        "broker in that browser? Log out there, or use a private window, and try again.",
        "Did the broker's page say that the key is wrong? Then send the right one.",
    )
    rows = await lookups.login_rows(accounts)
    return Screen(text, (*rows, _renewal(notice.broker_id)) if accounts else rows)


async def _morning(lookups: Lookups) -> Screen:
    found = await lookups.control.accounts.all()
    accounts = [one for one in found if one.broker.is_supported and not one.broker.is_paper]
    waiting = [one for one in accounts if one.needs_login]
    ticks = [f"{'⬜' if one.needs_login else '✅'} {esc(one.label)}" for one in accounts]
    if waiting:
        text = join(f"🔑 {bold('Login needed: one tap each')}", ticks)
        return Screen(text, await lookups.login_rows(waiting))
    ready = readiness_lines(await lookups.control.health.readiness())
    text = join(bold("All accounts are logged in."), ticks, "", bold("Ready for the day"), ready)
    return Screen(text, ((button("Dashboard", Verb.DASHBOARD), button("Accounts", Verb.ACCOUNTS)),))


async def _warning(notice: TokenWarning, lookups: Lookups) -> Screen:
    waiting = [one for one in await lookups.accounts(notice.broker_ids) if one.needs_login]
    held = {one.broker_id: await lookups.held(one.broker_id) for one in waiting}
    exits = await lookups.orders(notice.exits)
    is_one = len(waiting) == 1
    title = f"Login needed · {waiting[0].label}" if is_one else "Login needed"
    lines: list[str] = []
    for one in waiting:
        lines += [] if is_one else [bold(one.label)]
        why = sentence(one.parked_reason) if one.parked_reason else ""
        lines += [f"{INDENT}{esc(why)}"] if why else []
        lines += held_list(held[one.broker_id])
        waits = [order for order in exits if order.broker_id == one.broker_id]
        lines += terms_lines(waits, _WAITS, indent=INDENT)
        planned = await lookups.control.modes.exits_behind_login(one.broker_id)
        lines += planned_lines(planned, _WAITS, indent=INDENT)
    rests = any(position.stop is not None for positions in held.values() for position in positions)
    text = join(
        f"🔑 {bold(title)}",
        lines,
        "",
        "Until then nothing is sent there: no entry, no exit, no new stop."
        + (" Stops that rest at the broker go on." if rests else ""),
    )
    rows = await lookups.login_rows(waiting)
    return Screen(text, (*rows, (button("Dismiss", Verb.DISMISS_WARNING),)))
