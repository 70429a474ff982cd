"""The paged dashboard of an account (E2); lists of positions, orders, trades, profit (E3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.views.accounts import banner, banners, parked_line, spaced, switcher
from bot.views.callbacks import handle
from bot.views.lines import (
    ESTIMATED,
    ROWS,
    holding_lines,
    is_stop,
    order_lines,
    pnl_lines,
    pnl_words,
    position_lines,
    trade_lines,
)
from bot.views.markup import bold, clock_time, esc, join
from bot.views.paging import page_row, paged
from bot.views.screen import REFRESH, Keyboard, Screen, button, grid
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted
from bot.views.words import DOING_VERB, MODE, plural
from core.domain.account import PAPER_MARK, Account
from core.domain.identifiers import is_paper
from core.domain.money import rupees
from core.domain.order import OrderState
from core.domain.views import DashboardView, OrderView, PnlView, PositionView, TradeView

__all__ = [
    "ALL",
    "ON_CARD",
    "Item",
    "as_of_words",
    "dashboard",
    "listing",
    "order_button",
    "order_items",
    "page_of",
    "pnl_screen",
    "position_button",
    "position_items",
    "trade_items",
]

ALL = "all"
"""The argument of a button for all accounts together."""
ON_CARD = "card"
"""The argument of a button on a card: a tap must not replace the card's text."""
_NOTHING = "\nNo positions, no working orders, no trades today."


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list: its lines, its heading, its button, and whether it has a result.

    Attributes:
        is_position: Its result counts, once it is known, in the total below it.
    """

    text: str
    heading: str = ""
    button: InlineKeyboardButton | None = None
    has_result: bool = False
    is_position: bool = False


def position_button(position: PositionView, *, named: bool = False) -> InlineKeyboardButton | None:
    """Return the Close button of an open position, with its account when ``named``."""
    if position.quantity == 0 and not any(position.owners.values()):
        return None
    label = f"Close {position.instrument.symbol}{_at(position.account_label, named=named)}"
    return button(label, Verb.ASK_CLOSE, position.broker_id, handle(position.key))


def _at(account_label: str, *, named: bool) -> str:
    """Return the part of a label that distinguishes two accounts' buttons."""
    if not named:
        return ""
    mark = PAPER_MARK if account_label.startswith(PAPER_MARK) else ""
    return f" · {mark}{account_label.partition(' - ')[2] or account_label.removeprefix(mark)}"


def order_button(order: OrderView, *place: str, named: bool = False) -> InlineKeyboardButton | None:
    """Return the Cancel button of a working order; ``place`` is ``ON_CARD`` on a notice."""
    if not order.is_cancellable:
        return None
    name = _at(order.account_label, named=named)
    what = "stop" if is_stop(order) else DOING_VERB[order.side].lower()
    label = f"Cancel {what} {order.instrument.symbol}{name}"
    return button(label, Verb.ASK_CANCEL_ORDER, order.broker_id, handle(order.key), *place)


def _unresolved_button(order: OrderView, *, named: bool) -> InlineKeyboardButton | None:
    """Return the button that answers for an order of unknown fate whose card is far above (R4)."""
    if order.state is not OrderState.UNRESOLVED or not order.is_followed:
        return None
    name = _at(order.account_label, named=named)
    label = f"Is it there? {order.side.word} {order.instrument.symbol}{name}"
    return button(label, Verb.ASK_RESOLVE, order.key)


def position_items(positions: Iterable[PositionView], *, named: bool = False) -> list[Item]:
    """Return positions as items, under their account's name when ``named``."""
    found = list(positions)
    return [
        Item(
            text,
            one.account_label if named else "Positions",
            position_button(one, named=named),
            one.result is not None,
            is_position=True,
        )
        for one, text in zip(found, position_lines(found), strict=True)
    ]


def order_items(
    orders: Iterable[OrderView], *, named: bool = False, heading: str = "Orders"
) -> list[Item]:
    """Return orders as items."""
    found = list(orders)
    return [
        Item(
            text,
            one.account_label if named else heading,
            order_button(one, named=named) or _unresolved_button(one, named=named),
            one.realised is not None,
        )
        for one, text in zip(found, order_lines(found), strict=True)
    ]


def trade_items(trades: Iterable[TradeView], *, named: bool = False) -> list[Item]:
    """Return trades as items."""
    found = list(trades)
    return [
        Item(text, one.account_label if named else "Trades today")
        for one, text in zip(found, trade_lines(found), strict=True)
    ]


def page_of(items: Sequence[Item], page: int) -> tuple[list[str], list[InlineKeyboardButton], int]:
    """Return the lines and buttons of one page, and how many pages there are."""
    texts = [f"{item.heading}{item.text}" for item in items]
    shown, _, pages = paged(items, page, texts=texts)
    lines: list[str] = []
    buttons: list[InlineKeyboardButton] = []
    heading = None
    for item in shown:
        if item.heading != heading:
            heading = item.heading
            lines.extend(["", bold(heading)] if heading else [""])
        lines.append(item.text)
        if item.button is not None:
            buttons.append(item.button)
    return lines, buttons, pages


def _head(view: DashboardView, reading: str) -> list[str | None]:
    account, funds = view.account, view.funds
    enabled = "enabled" if account.enabled else "disabled"
    money = "Funds not known"
    if funds is not None:
        # A broker counts profit that was booked today as less than nothing used.
        used = f"{rupees(funds.used)} used" if funds.used >= 0 else ""
        money = fitted(f"Funds {bold(rupees(funds.available))} free", used)
    return [
        f"{bold(account.label)}{' ⭐' if account.is_default else ''}",
        fitted(enabled, MODE[view.effective_mode]),
        as_of_words(view.as_of),
        reading or None,
        parked_line(account),
        *(f"🛑 {esc(one[:1].upper() + one[1:])}." for one in view.held_back),
        *(f"⚠️ {esc(one[:1].upper() + one[1:])}" for one in _other_gaps(view)),
        "",
        money,
        pnl_words(view.pnl, "Today "),
        f"   {ESTIMATED}" if view.pnl.charges else None,
        f"{plural(len(view.trades), 'trade')} today" if view.trades else None,
    ]


def _other_gaps(view: DashboardView) -> list[str]:
    """Return what may be missing, except what the banner says already."""
    shown = "token not refreshed" if view.account.needs_login else None
    return [one for one in view.incomplete if shown is None or not one.startswith(shown)]


def as_of_words(moment: datetime | None) -> str:
    """Return of which moment a view is, in market time."""
    return "not read yet" if moment is None else f"as of {clock_time(moment, seconds=True)} IST"


def dashboard(
    view: DashboardView,
    accounts: Sequence[Account],
    login: InlineKeyboardButton | None,
    *,
    page: int = 0,
    reading: str = "",
) -> Screen:
    """Return one page of an account's dashboard; ``reading`` says how its broker is being read."""
    items = [
        *position_items(view.positions),
        *order_items(_by_position(view), heading="Working orders"),
        *(Item(text, "Holdings") for text in holding_lines(view.holdings)),
    ]
    lines, buttons, pages = page_of(items, page)
    key = view.account.broker_id
    empty = None if items or view.trades or view.as_of is None else _NOTHING
    trades = (button("Trades", Verb.TRADES, key),) if view.trades else ()
    text = join(
        spaced(banner(view.account)),
        [line for line in _head(view, reading) if line is not None],
        lines,
        empty,
        _rows_note(items),
    )
    rows: Keyboard = (
        *(((login,),) if login is not None and view.account.needs_login else ()),
        *grid(buttons, 2),
        *page_row(page, pages, Verb.DASHBOARD, key),
        (
            button(REFRESH, Verb.DASHBOARD, key, page, "fresh"),
            *trades,
            button("Mode", Verb.MODES, key),
        ),
        *switcher(accounts, key, Verb.DASHBOARD),
    )
    return Screen(text, rows)


def _by_position(view: DashboardView) -> list[OrderView]:
    """Return the working orders as the positions above them stand, each one's newest first."""
    order = [(one.instrument, one.product) for one in view.positions]
    place = {each: at for at, each in reversed(list(enumerate(order)))}
    return sorted(
        view.working, key=lambda one: place.get((one.instrument, one.product), len(order))
    )


def listing(
    title: str,
    verb: Verb,
    items: Sequence[Item],
    accounts: Sequence[Account],
    selected: str,
    *,
    page: int = 0,
    login: InlineKeyboardButton | None = None,
    as_of: str = "",
    profit: Sequence[PnlView] = (),
    foot: Sequence[str] = (),
) -> Screen:
    """Return one page of a list, for one account or for ``ALL``, and of which moment it is.

    What else belongs to its head follows the moment in ``as_of``, a line each. ``profit`` is that
    of the accounts whose positions are listed: their total stands under the last row, and so does
    what else is given as ``foot``.
    """
    account = next((one for one in accounts if one.broker_id == selected), None)
    if account is not None:
        # The title names them already: a heading with the same word would repeat it.
        items = [replace(one, heading="") for one in items]
    lines, buttons, pages = page_of(items, page)
    where = account.label if account is not None else "all accounts"
    text = join(
        spaced(*banners(_listed_accounts(accounts, selected))),
        fitted(bold(title), bold(where)),
        as_of or None,
        lines or "\nNone.",
        _total_of_all(profit, pages) if items else None,
        _not_counted(items) if any(one.total is not None for one in profit) else None,
        foot,
        _rows_note(items, profit),
    )
    rows: Keyboard = (
        *(((login,),) if login is not None else ()),
        *grid(buttons, 2),
        *page_row(page, pages, verb, selected),
        _all_row(accounts, selected, verb, page),
        *switcher(accounts, selected, verb),
    )
    return Screen(text, rows)


def _rows_note(items: Sequence[Item], profit: Sequence[PnlView] = ()) -> str | None:
    """Return what the results in rows are, and that charges under them are estimated."""
    if not any(one.has_result for one in items):
        return None
    return f"\n{ROWS}" + (f" {ESTIMATED}" if any(one.charges for one in profit) else "")


def _total_of_all(profit: Sequence[PnlView], pages: int) -> list[str]:
    """Return the total of all rows, those of other pages too; money and paper money apart."""
    where = f" on all {pages} pages" if pages > 1 else ""
    return [_together(f"{name}{where}", several) for name, several in _by_money(profit) if several]


def _not_counted(items: Sequence[Item]) -> str | None:
    """Return that a total is without positions whose result is not known yet, as after a fill."""
    missing = sum(one.is_position and not one.has_result for one in items)
    return f"{INDENT}without {plural(missing, 'position')} not known yet" if missing else None


def _listed_accounts(accounts: Sequence[Account], selected: str) -> list[Account]:
    return [one for one in accounts if selected in {ALL, one.broker_id}]


def _all_row(
    accounts: Sequence[Account], selected: str, verb: Verb, page: int
) -> tuple[InlineKeyboardButton, ...]:
    refresh = button(REFRESH, verb, selected, page)
    if len(accounts) <= 1:
        return (refresh,)
    mark = "• " if selected == ALL else ""
    return (refresh, button(f"{mark}All accounts", verb, ALL))


def pnl_screen(
    lines: Sequence[PnlView],
    accounts: Sequence[Account],
    selected: str,
    login: InlineKeyboardButton | None,
    as_of: str = "",
    *,
    page: int = 0,
) -> Screen:
    """Return today's profit by account, and the total of those that could be read."""
    if selected == ALL:
        texts = pnl_lines(lines, indent=INDENT)
        names = [f"{bold(one.account_label)}\n" for one in lines]
    else:  # the title names the account
        texts, names = pnl_lines(lines), [""] * len(lines)
    entries = [Item(f"{name}{text}") for name, text in zip(names, texts, strict=True)]
    foot = _totals(lines)
    if any(one.charges for one in lines):
        foot.append(f"\n{ESTIMATED}")
    return listing(
        "Profit today",
        Verb.PNL,
        entries,
        accounts,
        selected,
        page=page,
        login=login,
        as_of=as_of,
        foot=foot,
    )


def _by_money(lines: Sequence[PnlView]) -> list[tuple[str, list[PnlView]]]:
    """Return the accounts whose profits are one sum: money and paper money never are."""
    paper = [one for one in lines if is_paper(one.broker_id)]
    live = [one for one in lines if not is_paper(one.broker_id)]
    return [("Together", live), (f"{PAPER_MARK}Paper together", paper)]


def _totals(lines: Sequence[PnlView]) -> list[str]:
    """Return the totals of several accounts."""
    return [_together(name, several) for name, several in _by_money(lines) if len(several) > 1]


def _together(name: str, lines: Sequence[PnlView]) -> str:
    """Return the total of the accounts that could be read, before charges and after them."""
    known = [one for one in lines if one.total is not None]
    missing = len(lines) - len(known)
    if not known:
        return f"\n{name} not known: no account could be read"
    costs = [one.charges for one in known]
    total = PnlView(
        "",
        "",
        sum((one.realised for one in known if one.realised), Decimal(0)),
        sum((one.unrealised for one in known if one.unrealised), Decimal(0)),
        None if None in costs else sum((one for one in costs if one), Decimal(0)),
    )
    note = f"\n{INDENT}without {missing} that could not be read" if missing else ""
    return f"\n{pnl_words(total, f'{name} ')}{note}"
