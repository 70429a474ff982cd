"""A total is the sum of the rows above it, and every screen names the same rule of charges."""

from __future__ import annotations

import html
import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.views.dashboard import ALL, dashboard, listing, pnl_screen, position_items
from bot.views.lines import ROWS, position_line
from bot.views.sizes import size_lines
from bot.views.verbs import Verb
from core.adapters.fyers import FYERS
from core.adapters.paper import PAPER_PROFILE
from core.domain.broker import Position
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.profit import days_profit
from core.domain.size_views import SizeLine, SizeView
from core.domain.views import DashboardView, PnlView, PositionView
from tests.fakes.views import AT, a_position, an_account

MAIN = an_account()
SECOND = an_account("fyers_b", FYERS, "Second", is_default=False)
THIRD = an_account("paper_cccccccccc", PAPER_PROFILE, "Try", is_default=False)
ACCOUNTS = (MAIN, SECOND, THIRD)
TAGS = re.compile(r"</?(b|i|code)>")
MONEY = re.compile(r"[+-]?₹[\d,]+(?:\.\d\d)?")

pytestmark = pytest.mark.row("E2", "E3")


def plain(text: str) -> str:
    return html.unescape(TAGS.sub("", text))


def amount(text: str) -> Decimal:
    """Return the first amount of a line."""
    found = MONEY.search(text)
    assert found is not None, text
    return Decimal(found[0].replace("₹", "").replace(",", ""))


def a_share(account: int, number: int, raw: tuple[str, str]) -> PositionView:
    """Return a position whose profit the broker gave in fractions of a paisa."""
    name = InstrumentId("NSE", f"SHARE{number}")
    booked, unbooked = map(Decimal, raw)
    position = Position(
        name, Product.MIS, 10, Decimal(812), Decimal(815), realised=booked, unrealised=unbooked
    )
    profit = days_profit(position)
    return a_position(
        ACCOUNTS[account],
        key=f"{name}|MIS",
        instrument=name,
        realised=profit.realised,
        unrealised=profit.unrealised,
    )


def profit_of(account: int, held: list[PositionView]) -> PnlView:
    mine = [one for one in held if one.broker_id == ACCOUNTS[account].broker_id]
    return PnlView(
        ACCOUNTS[account].broker_id,
        ACCOUNTS[account].label,
        sum((one.realised for one in mine), Decimal(0)),
        sum((one.unrealised for one in mine), Decimal(0)),
        Decimal("12.34"),
    )


PAISE = st.decimals(-99999, 99999, places=4).map(str)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.tuples(PAISE, PAISE)), min_size=1, max_size=23))
def test_the_total_of_positions_is_the_sum_of_its_rows(rows: list[tuple[int, tuple[str, str]]]):
    """On whatever page; money and paper money apart; the parts of a row and of a total add up too."""
    held = [a_share(account, number, raw) for number, (account, raw) in enumerate(rows)]
    profit = [profit_of(account, held) for account in range(3)]
    items = position_items(held, named=True)
    pages = -(-len(items) // 10)
    shown = [
        plain(listing("P", Verb.POSITIONS, items, ACCOUNTS, ALL, page=page, profit=profit).text)
        for page in range(pages)
    ]
    gains = {one.instrument.symbol: amount(plain(position_line(one))) for one in held}
    seen: list[str] = []
    for text in shown:
        seen += re.findall(r"^(SHARE\d+) MIS", text, re.MULTILINE)
        for name, accounts in (("\nTogether", (0, 1)), ("Paper together", (2,))):
            _, _, total = text.partition(name)
            own = [
                gains[one.instrument.symbol]
                for one in held
                if one.broker_id in {ACCOUNTS[number].broker_id for number in accounts}
            ]
            assert amount(total) == sum(own, Decimal(0))
            open_, booked = map(amount, re.findall(r"(?:open|booked) \S+", total)[:2])
            assert open_ + booked == amount(total)
        assert (f"on all {pages} pages" in text) is (pages > 1)
        assert text.endswith(f"{ROWS} Charges are estimated.")
    assert sorted(seen) == sorted(gains)


def test_dashboard_positions_and_profit_agree():
    """One figure before charges and one after them on all three; rows are before, and say so."""
    held = [a_share(0, 1, ("10.005", "1.005")), a_share(0, 2, ("-3.335", "7.775"))]
    profit = profit_of(0, held)
    board = DashboardView(
        account=MAIN,
        effective_mode=TradingMode.NORMAL,
        as_of=AT,
        funds=None,
        pnl=profit,
        positions=tuple(held),
        working=(),
        trades=(),
        holdings=(),
        incomplete=(),
    )
    items = position_items(held)
    listed = listing("P", Verb.POSITIONS, items, (MAIN,), MAIN.broker_id, profit=[profit])
    texts = [
        plain(one.text)
        for one in (
            dashboard(board, (MAIN,), None),
            listed,
            pnl_screen([profit], (MAIN,), MAIN.broker_id, None),
        )
    ]
    total = sum((one.result for one in held if one.result), Decimal(0))
    for text in texts:
        (line,) = [one for one in text.splitlines() if one.endswith("before charges")]
        assert amount(line) == total
        (after,) = [one for one in text.splitlines() if "after charges" in one]
        assert amount(after) == total - Decimal("12.34")
    for text in texts[:2]:
        assert ROWS in text


def test_what_the_broker_does_not_list_has_no_profit():
    """It shows neither a price nor a result, and the total says which accounts it lacks."""
    unknown = a_position(MAIN, is_listed=False)
    text = plain(position_line(unknown))
    assert text == "SBIN MIS · +10 · result not known\n   avg ₹812.35\n   orb"
    items = position_items([unknown], named=True)
    lost = [PnlView(one.broker_id, one.label, None, None) for one in (MAIN, SECOND)]
    screen = listing("P", Verb.POSITIONS, items, ACCOUNTS, ALL, profit=lost)
    assert plain(screen.text).endswith("\nTogether not known: no account could be read")


def test_rounded_sizes_add_up():
    """964 and 1,464 are 2,428, whatever the paise that are not shown."""
    names = [InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "RELIANCE")]
    prices = [Decimal("964.45"), Decimal("1464.40")]
    view = SizeView(
        MAIN.broker_id,
        MAIN.label,
        Product.MIS,
        tuple(SizeLine(name, 1, one) for name, one in zip(names, prices, strict=True)),
        Decimal(1000000),
    )
    shown = [amount(plain(line)) for line in size_lines([view])[1:4]]
    assert shown == [Decimal(964), Decimal(1464), Decimal(2428)]


def test_a_total_says_that_a_fill_of_this_moment_is_not_in_it() -> None:
    """A position whose result is not known yet is no ₹0.00."""
    fresh = a_position(MAIN, is_listed=False)
    profit = [PnlView(MAIN.broker_id, MAIN.label, Decimal(0), Decimal(0), Decimal("0.62"))]

    def shown(*held: PositionView) -> str:
        items = position_items(held)
        return plain(
            listing("Positions", Verb.POSITIONS, items, (MAIN,), MAIN.broker_id, profit=profit).text
        )

    assert "result not known" in shown(fresh)
    assert "Together ₹0.00" in shown(fresh)
    assert "\n   without 1 position not known yet" in shown(fresh, a_position(MAIN))
    assert "not known yet" not in shown(a_position(MAIN))
