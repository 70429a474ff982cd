"""The controller's charges beside the simulators' bill, which shares no code with it, to the paisa.

Both know the same rules from different readings of public pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.charges import Charges, Execution, Kind, charges_of, kind_of
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Side
from sandbox import charge_rates
from sandbox.contract_note import Bill, Executed, bill_of
from sandbox.fyers.apps import TARIFF as FYERS
from sandbox.kite.apps import TARIFF as ZERODHA

TARIFFS = {"zerodha": ZERODHA, "fyers": FYERS}
DAYS = [
    date(2024, 10, 1),
    date(2026, 2, 27),
    date(2026, 3, 2),
    date(2026, 3, 31),
    date(2026, 4, 1),
    date(2026, 11, 23),
]
"""From the day of uniform exchange fees on, on both sides of the days on which rates changed."""
SHARES = [InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "INFY"), InstrumentId("BSE", "SBIN")]
DERIVATIVES = [
    InstrumentId("NFO", "NIFTY26JUNFUT"),
    InstrumentId("NFO", "NIFTY2660225000CE"),
    InstrumentId("BFO", "SENSEX26JUNFUT"),
    InstrumentId("BFO", "SENSEX2660283000PE"),
]
ISIN = {"SBIN": "INE062A01020", "INFY": "INE009A01021"}


@dataclass(frozen=True)
class Placed:
    """One order with its fills: units and paise of each."""

    order_id: str
    instrument: InstrumentId
    product: Product
    side: Side
    fills: tuple[tuple[int, int], ...]

    @property
    def quantity(self) -> int:
        """All units."""
        return sum(units for units, _ in self.fills)

    def executions(self) -> Iterable[Execution]:
        """Yield the fills as the controller reads them."""
        for units, paise in self.fills:
            price = Decimal(paise) / 100
            yield Execution(self.order_id, self.instrument, self.product, self.side, units, price)

    def executed(self) -> Executed:
        """Return the order as the simulators bill it."""
        kind = kind_of(self.instrument, self.product)
        assert kind is not None
        return Executed(
            order_id=self.order_id,
            segment=self.instrument.exchange,
            symbol=self.instrument.symbol,
            isin=ISIN.get(self.instrument.symbol, ""),
            product=self.product.value,
            kind=charge_rates.Kind(kind.value),
            side=self.side.value,
            quantity=self.quantity,
            value=sum((one.value for one in self.executions()), Decimal(0)),
        )


fills = st.lists(
    st.tuples(st.integers(1, 2000), st.integers(100, 400_000)), min_size=1, max_size=3
).map(tuple)


@st.composite
def days(draw: st.DrawFn) -> list[Placed]:
    """Return a day's orders: round trips in MIS, at most one CNC order a side, derivatives.

    What of several CNC orders was sold again is the broker's choice, and MIS is flat by the close.
    """
    found: list[Placed] = []

    def place(name: InstrumentId, product: Product, side: Side, of: object) -> None:
        assert isinstance(of, tuple)
        found.append(Placed(str(len(found)), name, product, side, of))

    for name in draw(st.lists(st.sampled_from(SHARES), max_size=3)):
        bought = draw(fills)
        place(name, Product.MIS, Side.BUY, bought)
        sold = tuple((units, draw(st.integers(100, 400_000))) for units, _ in bought)
        place(name, Product.MIS, Side.SELL, sold)
    cnc = st.tuples(st.sampled_from(SHARES), st.sampled_from(Side))
    for name, side in draw(st.lists(cnc, max_size=4, unique=True)):
        place(name, Product.CNC, side, draw(fills))
    for name in draw(st.lists(st.sampled_from(DERIVATIVES), max_size=4)):
        place(name, Product.NRML, draw(st.sampled_from(Side)), draw(fills))
    return draw(st.permutations(found))


def both(orders: list[Placed], broker: str, day: date) -> tuple[Charges, Bill]:
    """Return what the controller and the simulators make of a day."""
    executions = [one for order in orders for one in order.executions()]
    bill = bill_of(TARIFFS[broker], day, [order.executed() for order in orders])
    return charges_of(executions, broker, day), bill


def simulated(bill: Bill) -> Charges:
    """Return a bill by the controller's lines."""
    total = Charges(dp=bill.depository)
    for column in bill.segments.values():
        total += Charges(
            brokerage=column.brokerage,
            stt=column.transaction_tax,
            exchange=column.exchange + column.protection_fund + column.clearing,
            sebi=column.sebi,
            gst=column.gst,
            stamp=column.stamp_duty,
        )
    return total


@pytest.mark.row("R1")
@settings(max_examples=60)
@given(orders=days(), broker=st.sampled_from(sorted(TARIFFS)), day=st.sampled_from(DAYS))
def test_every_line_is_the_simulators(orders: list[Placed], broker: str, day: date) -> None:
    """Brokerage, taxes, fees and the depository's charge of any day agree to the paisa."""
    ours, bill = both(orders, broker, day)
    assert ours == simulated(bill)


@pytest.mark.parametrize("broker", sorted(TARIFFS))
@pytest.mark.parametrize("kind", [*Kind])
def test_each_kind_alone_is_the_simulators(kind: Kind, broker: str) -> None:
    """A round trip of 65 at 1,000 and 1,010 in each kind: more than nothing, and the same."""
    name, product = {
        Kind.INTRADAY: (SHARES[0], Product.MIS),
        Kind.DELIVERY: (SHARES[0], Product.CNC),
        Kind.FUTURE: (DERIVATIVES[0], Product.NRML),
        Kind.OPTION: (DERIVATIVES[1], Product.NRML),
    }[kind]
    orders = [Placed("1", name, product, Side.BUY, ((65, 100_000),))]
    if kind is not Kind.DELIVERY:
        orders.append(Placed("2", name, product, Side.SELL, ((65, 101_000),)))
    ours, bill = both(orders, broker, DAYS[-1])
    assert ours.total == bill.total > 20
