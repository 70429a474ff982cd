"""The dashboard and the lists: /dashboard, /positions, /orders, /trades, /pnl (E2, E3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from telegram import InlineKeyboardButton

from bot.conversation.patience import unless_soon
from bot.conversation.plain_words import asks_another_day
from bot.conversation.visit import Visit
from bot.views.dashboard import (
    ALL,
    Item,
    as_of_words,
    dashboard,
    listing,
    order_items,
    pnl_screen,
    position_items,
    trade_items,
)
from bot.views.markup import esc, join
from bot.views.paging import page_number
from bot.views.paper import MADE_UP
from bot.views.screen import Screen
from bot.views.verbs import Verb
from core.domain.account import Account

__all__ = ["ONLY_TODAY", "orders", "pnl", "positions", "show_dashboard", "trades"]

ONLY_TODAY = "Only today is shown here."


async def show_dashboard(visit: Visit) -> None:
    """Show the chosen account's dashboard and remember the choice."""
    services = visit.services
    wanted = visit.tap.argument(0)
    account = await (
        services.control.accounts.get(wanted) if wanted else services.selected(visit.chat_id)
    )
    await services.select(visit.chat_id, account.broker_id)
    if visit.tap.argument(2) != "fresh" and visit.query is not None:
        await visit.show(await _board(visit, account.broker_id))
        return
    visit.has_shown = True
    known: list[int] = []

    async def show_known() -> None:
        fetching = f"⏳ Fetching fresh figures from {account.broker.label} …"
        known.append(await visit.show(await _board(visit, account.broker_id, fetching)))

    patience_s = services.parameters.patience_s
    ask = partial(services.control.views.look, account.broker_id)
    look = partial(visit.look, account.broker_id, ask)
    trouble = await unless_soon(look, patience_s, show_known)
    # One that waits for its login says so itself; a slow one is told where it was waited for.
    late = f"⚠️ {account.broker.label}: {esc(trouble)}" if trouble and known else ""
    screen = await _board(visit, account.broker_id, late)
    await (visit.redraw(known[0], screen) if known else visit.show(screen))


async def _board(visit: Visit, broker_id: str, reading: str = "") -> Screen:
    services = visit.services
    view = await services.control.views.dashboard(broker_id)
    login = await services.logins.button(view.account) if view.account.needs_login else None
    accounts = await services.control.accounts.all()
    return dashboard(view, accounts, login, page=_page(visit), reading=reading)


def _page(visit: Visit) -> int:
    return page_number(visit.tap.argument(1))


async def _scope(visit: Visit) -> tuple[str, str | None]:
    """Return what a list shows: the argument of its buttons, and the broker id (None: all)."""
    wanted = visit.tap.argument(0)
    if not wanted and visit.arguments[:1] == (ALL,):
        wanted = ALL
    if wanted == ALL:
        return ALL, None
    if wanted:
        account = await visit.services.control.accounts.get(wanted)
        await visit.services.select(visit.chat_id, account.broker_id)
    else:
        account = await visit.services.selected(visit.chat_id)
    return account.broker_id, account.broker_id


async def _login(
    visit: Visit, accounts: tuple[Account, ...], selected: str
) -> InlineKeyboardButton | None:
    """Return the button of the first listed account that waits for its login (B7)."""
    for one in accounts:
        if selected in {ALL, one.broker_id} and one.needs_login:
            return await visit.services.logins.button(one)
    return None


async def _list(
    visit: Visit,
    title: str,
    verb: Verb,
    read: Callable[[str | None, bool], Awaitable[list[Item]]],
    *,
    has_total: bool = False,
) -> None:
    selected, broker_id = await _scope(visit)
    items = await read(broker_id, broker_id is None)
    profit = await visit.services.control.views.pnl(broker_id) if has_total else ()
    accounts = await visit.services.control.accounts.all()
    login = await _login(visit, accounts, selected)
    as_of = await _head(visit, broker_id)
    page = _page(visit)
    await visit.show(
        listing(
            title,
            verb,
            items,
            accounts,
            selected,
            page=page,
            login=login,
            as_of=as_of,
            profit=profit,
        )
    )


async def _head(visit: Visit, broker_id: str | None) -> str:
    """Return of which moment and of what prices a list is, and that it is of no other day."""
    views = visit.services.control.views
    return join(
        as_of_words(await views.as_of(broker_id)),
        MADE_UP if await views.are_made_up() else None,
        ONLY_TODAY if asks_another_day(visit.text) else None,
    )


async def positions(visit: Visit) -> None:
    """List positions."""

    async def read(broker_id: str | None, named: bool) -> list[Item]:
        return position_items(await visit.services.control.views.positions(broker_id), named=named)

    await _list(visit, "Positions", Verb.POSITIONS, read, has_total=True)


async def orders(visit: Visit) -> None:
    """List today's orders."""

    async def read(broker_id: str | None, named: bool) -> list[Item]:
        return order_items(await visit.services.control.views.orders(broker_id), named=named)

    await _list(visit, "Orders today", Verb.ORDERS, read)


async def trades(visit: Visit) -> None:
    """List today's trades."""

    async def read(broker_id: str | None, named: bool) -> list[Item]:
        return trade_items(await visit.services.control.views.trades(broker_id), named=named)

    await _list(visit, "Trades today", Verb.TRADES, read)


async def pnl(visit: Visit) -> None:
    """Show today's profit."""
    selected, broker_id = await _scope(visit)
    lines = await visit.services.control.views.pnl(broker_id)
    accounts = await visit.services.control.accounts.all()
    login, as_of = await _login(visit, accounts, selected), await _head(visit, broker_id)
    screen = pnl_screen(lines, accounts, selected, login, as_of, page=_page(visit))
    await visit.show(screen)
