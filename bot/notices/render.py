"""Turns a notice into a screen: one small function for each kind.

Given a ``Lookups`` the result depends on nothing else. What a notice names may be gone by the time
it is delivered (an account disconnected, a run cleaned away): then it says so instead of failing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from telegram import InlineKeyboardButton

from bot.conversation.login_buttons import LoginButtons
from bot.views.callbacks import handle
from bot.views.dashboard import ON_CARD, order_button
from bot.views.lines import order_line, order_terms
from bot.views.markup import bold, clock_time, esc, join, short
from bot.views.screen import Screen, button
from bot.views.strategies import run_card
from bot.views.system import readiness_lines
from bot.views.words import LOGIN_FAULT
from core.domain.account import Account, BrokerType
from core.domain.notice import Notice, NoticeKind
from core.domain.views import OrderView
from core.engine.control.control import Control
from core.errors import LoginFault, NotFound

__all__ = ["Lookups", "render"]

_LONG = 3000
_MINUTES_FROM_S = 180


class Lookups:
    """What a notice may look up while it is rendered."""

    def __init__(self, control: Control, logins: LoginButtons) -> None:
        self.control = control
        self._logins = logins

    async def account(self, broker_id: str) -> Account | None:
        """Return an account, or None when it is gone."""
        try:
            return await self.control.account(broker_id)
        except NotFound:
            return None

    async def label(self, broker_id: str) -> str:
        """Return an account's name, its id when it is gone."""
        account = await self.account(broker_id)
        return account.label if account else broker_id

    async def accounts(self, broker_ids: Sequence[str]) -> list[Account]:
        """Return those of the accounts that exist still."""
        found = [await self.account(broker_id) for broker_id in broker_ids]
        return [one for one in found if one is not None]

    async def order(self, client_order_id: str) -> OrderView:
        """Return an order; raises ``NotFound``."""
        return await self.control.order(client_order_id)

    async def login_rows(
        self, accounts: Sequence[Account]
    ) -> tuple[tuple[InlineKeyboardButton, ...], ...]:
        """Return a login button for each account that needs one."""
        return await self._logins.rows(one for one in accounts if one.needs_login)


Renderer = Callable[[Mapping[str, Any], Lookups], Awaitable[Screen]]


async def render(notice: Notice, lookups: Lookups) -> Screen:
    """Return the message of a notice.

    Raises:
        SaarthiError: What it needs cannot be read now.
    """
    try:
        return await _RENDERERS[notice.kind](notice.data, lookups)
    except NotFound as error:
        return Screen(f"{esc(notice.kind.value.replace('_', ' ').capitalize())}: {esc(error)}")


async def _run(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    run = await lookups.control.run(data["run_id"])
    return run_card(run, await _strategy_title(run.strategy, lookups))


def _order_screen(title: str, order: OrderView, *notes: str) -> Screen:
    cancel = order_button(order, ON_CARD)
    text = join(bold(f"{title} · {order.account_label}"), order_line(order), notes)
    return Screen(text, ((cancel,),) if cancel is not None else ())


async def _rejected(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    order = await lookups.order(data["client_order_id"])
    reason = order.reason or "the broker gave no reason"
    return Screen(
        join(
            f"❌ {bold(f'Rejected · {order.account_label}')}",
            order_terms(order),
            f"The broker says: {esc(short(reason, _LONG))}",
        )
    )


async def _unresolved(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    order = await lookups.order(data["client_order_id"])
    if order.state.value != "UNRESOLVED":
        return await _resolved(data, lookups)
    text = join(
        f"❓ {bold(f'Not known yet · {order.account_label}')}",
        order_terms(order),
        "",
        "I sent this order and the broker's answer did not arrive. It may or may not be there. "
        "I keep asking the broker, send nothing in its place, and tell you as soon as I know.",
        f"It carries the tag {esc(order.key)}." if not order.broker_order_id else None,
        esc(order.reason) if order.reason else None,
    )
    return Screen(text, ((button("I looked at the broker …", "unres", order.key),),))


async def _resolved(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    order = await lookups.order(data["client_order_id"])
    return _order_screen("Known now", order)


async def _revived(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    order = await lookups.order(data["client_order_id"])
    note = (
        f"🚨 {bold('An order that counted as finished came back.')} Check the position at the "
        "broker; I count it as it is there."
    )
    screen = _order_screen("Came back", order)
    return Screen(join(note, screen.text), screen.rows)


async def _update(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    return _order_screen("Your order", await lookups.order(data["client_order_id"]))


async def _external(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    if "client_order_id" in data:
        return _order_screen("Not placed by me", await lookups.order(data["client_order_id"]))
    label = await lookups.label(data["broker_id"])
    return Screen(
        join(bold(f"Not placed by me · {label}"), esc(data["text"])),
        ((button("Orders", "ords", data["broker_id"]),),),
    )


async def _login_done(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    label = await lookups.label(data["broker_id"])
    person = f" as {esc(data['user_name'])}" if data.get("user_name") else ""
    return Screen(
        f"✅ {bold(label)} is logged in{person}.",
        ((button("Dashboard", "dash", data["broker_id"]),),),
    )


async def _login_failed(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    broker_id = data.get("broker_id") or ""
    accounts = await lookups.accounts([broker_id]) if broker_id else []
    label = accounts[0].label if accounts else "an account"
    fault, detail = LoginFault(data["fault"]), str(data.get("detail") or "")
    text = join(
        f"⚠️ {bold(f'Login of {label} did not work')}",
        esc(LOGIN_FAULT[fault]),
        _detail_of_login(fault, detail),
    )
    return Screen(text, await lookups.login_rows(accounts))


def _detail_of_login(fault: LoginFault, detail: str) -> str | None:
    """Return what stands behind a failed login; who had logged in is our own observation."""
    if not detail:
        return None
    told = esc(short(detail, _LONG))
    return told if fault is LoginFault.OTHER_USER else f"The broker says: {told}"


async def _login_silent(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    accounts = await lookups.accounts([data["broker_id"]])
    label = await lookups.label(data["broker_id"])
    text = join(
        f"⏳ {bold(f'Login of {label} is not finished')}",
        "It began five minutes ago and nothing came back. Is somebody else logged in at the "
        "broker in that browser? Log out there, or use a private window, and try again.",
    )
    return Screen(text, await lookups.login_rows(accounts))


async def _morning(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    accounts = await _of_the_round(data, lookups)
    waiting = [one for one in accounts if one.needs_login]
    ticks = [f"{'⬜' if one.needs_login else '✅'} {esc(one.label)}" for one in accounts]
    if waiting:
        text = join(bold("Today's logins: one tap per account"), ticks)
        return Screen(text, await lookups.login_rows(waiting))
    ready = readiness_lines(await lookups.control.readiness())
    text = join(bold("Everybody is logged in."), ticks, "", bold("Ready for the day"), ready)
    return Screen(text, ((button("Dashboard", "dash"), button("Accounts", "brokers")),))


async def _of_the_round(data: Mapping[str, Any], lookups: Lookups) -> list[Account]:
    """Return the accounts that the card names, or every one that needs a login at all."""
    if data.get("broker_ids"):
        return await lookups.accounts(data["broker_ids"])
    found = await lookups.control.accounts()
    return [one for one in found if one.broker_type is not BrokerType.PAPER]


async def _warning(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    waiting = [one for one in await lookups.accounts(data["broker_ids"]) if one.needs_login]
    text = join(
        f"⚠️ {bold('Token not refreshed')}",
        [f"• {esc(one.label)}" for one in waiting],
        "",
        "Until the login of today I cannot trade or read there.",
    )
    rows = await lookups.login_rows(waiting)
    return Screen(text, (*rows, (button("Dismiss", "nowarn"),)))


async def _parked(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    accounts = await lookups.accounts([data["broker_id"]])
    label = await lookups.label(data["broker_id"])
    exits = await _orders(data.get("waiting_exits") or (), lookups)
    text = join(
        f"⏸ {bold(f'{label} waits for you')}",
        esc(_sentence(data["reason"])),
        "Nothing is sent for it until this is settled; your other accounts go on.",
        ["", bold("Exits that wait:"), *exits] if exits else None,
    )
    return Screen(text, await lookups.login_rows(accounts))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


async def _orders(keys: Sequence[str], lookups: Lookups) -> list[str]:
    """Return lines for orders by id; a text that is no known id stands as it is."""
    lines = []
    for key in keys:
        try:
            lines.append(f"• {order_terms(await lookups.order(str(key)))}")
        except NotFound:
            lines.append(f"• {esc(key)}")
    return lines


async def _dropped(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    label = await lookups.label(data["broker_id"])
    lines = await _orders(data["orders"], lookups)
    return Screen(
        join(
            bold(f"Entries dropped · {label}"),
            "They waited for the login and are too old now:",
            lines,
            "Exits are worked out anew from what the broker shows.",
        )
    )


async def _strategy_title(name: str, lookups: Lookups) -> str:
    try:
        return (await lookups.control.strategy(name)).title
    except NotFound:
        return name


def _moment(value: object) -> str:
    return clock_time(value) if isinstance(value, datetime) else esc(value)


async def _slot_missed(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    title = await _strategy_title(data["strategy"], lookups)
    missed = int(data.get("missed") or 1)
    more = f" Runs missed in all: {missed}." if missed > 1 else ""
    return Screen(
        f"⏰ {bold(title)}: the run of {_moment(data['slot_at'])} came {_late(data['late_s'])} "
        f"late.{more} I entered nothing; exits are done all the same."
    )


def _late(seconds: object) -> str:
    """Return a delay in the unit that a person would use."""
    late = round(float(str(seconds)))
    return f"{late} s" if late < _MINUTES_FROM_S else f"{late // 60} min"


async def _no_data(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    title = await _strategy_title(data["strategy"], lookups)
    return Screen(
        f"📉 {bold(title)}: no fresh market data, so no entries.\n{esc(data.get('detail') or '')}"
    )


async def _run_failed(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    title = await _strategy_title(data["strategy"], lookups)
    detail = esc(short(str(data.get("detail") or ""), _LONG))
    return Screen(
        f"⚠️ {bold(title)}: the run failed. Nothing was sent.\n{detail}",
        ((button("Open strategy", "strat", handle(data["strategy"])),),),
    )


async def _square_off(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    label = await lookups.label(data["broker_id"])
    return Screen(
        join(
            f"🚨 {bold(f'Still open at the end of the day · {label}')}",
            [f"• {esc(one)}" for one in data["positions"]],
            "I could not close these in time. Look at them now, here or at the broker.",
        ),
        ((button("Positions", "posn", data["broker_id"]),),),
    )


async def _software_stop(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    label = await lookups.label(data["broker_id"])
    return Screen(
        f"⚠️ {bold(f'Software stop · {label}')}\nThe stop of {bold(data['instrument'])} cannot "
        f"rest at the broker ({esc(data['reason'])}). I watch the price myself; it works only "
        "while I run."
    )


async def _anomaly(data: Mapping[str, Any], lookups: Lookups) -> Screen:
    label = await lookups.label(data["broker_id"])
    return Screen(
        f"🚨 {bold(f'Something impossible happened · {label}')}\n{esc(data['text'])}\nI enter "
        "nothing new on this account until you have looked at it.",
        ((button("Orders", "ords", data["broker_id"]), button("Health", "health")),),
    )


async def _text(data: Mapping[str, Any], _: Lookups) -> Screen:
    return Screen(esc(data["text"]))


async def _poller(data: Mapping[str, Any], _: Lookups) -> Screen:
    return Screen(f"🚨 {esc(data['text'])}")


async def _started(data: Mapping[str, Any], _: Lookups) -> Screen:
    return Screen(f"🟢 {esc(data['text'])}")


_RENDERERS: Mapping[NoticeKind, Renderer] = {
    NoticeKind.RUN_CARD: _run,
    NoticeKind.ORDER_REJECTED: _rejected,
    NoticeKind.ORDER_UNRESOLVED: _unresolved,
    NoticeKind.ORDER_RESOLVED: _resolved,
    NoticeKind.ORDER_REVIVED: _revived,
    NoticeKind.ORDER_UPDATE: _update,
    NoticeKind.EXTERNAL_ORDER: _external,
    NoticeKind.LOGIN_DONE: _login_done,
    NoticeKind.LOGIN_FAILED: _login_failed,
    NoticeKind.LOGIN_SILENT: _login_silent,
    NoticeKind.MORNING_ROUND: _morning,
    NoticeKind.TOKEN_WARNING: _warning,
    NoticeKind.ACCOUNT_PARKED: _parked,
    NoticeKind.ENTRIES_DROPPED: _dropped,
    NoticeKind.SLOT_MISSED: _slot_missed,
    NoticeKind.NO_DATA: _no_data,
    NoticeKind.RUN_FAILED: _run_failed,
    NoticeKind.SQUARE_OFF_ALARM: _square_off,
    NoticeKind.SOFTWARE_STOP: _software_stop,
    NoticeKind.ANOMALY: _anomaly,
    NoticeKind.POLLER_TROUBLE: _poller,
    NoticeKind.STARTED: _started,
    NoticeKind.TEXT: _text,
}
