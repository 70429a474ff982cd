"""Charges of any day: they only grow, and executions of different kinds add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.domain.charges import Execution, charges_of, closing_charges
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Side

DAY = date(2026, 6, 1)
NAMES = (
    (InstrumentId("NSE", "SBIN"), Product.MIS),
    (InstrumentId("BSE", "INFY"), Product.MIS),
    (InstrumentId("NFO", "NIFTY26JUNFUT"), Product.NRML),
    (InstrumentId("NFO", "NIFTY2660225000CE"), Product.NRML),
)
SHARES = (InstrumentId("NSE", "SBIN"), Product.CNC)


def executions(names: tuple[tuple[InstrumentId, Product], ...]) -> st.SearchStrategy[Execution]:
    """Return executions of a few orders, each order in one instrument."""
    return st.builds(
        lambda number, name, side, units, paise: Execution(
            f"{number}{name[0]}{side}", name[0], name[1], side, units, Decimal(paise) / 100
        ),
        st.integers(1, 3),
        st.sampled_from(names),
        st.sampled_from(Side),
        st.integers(1, 5000),
        st.integers(5, 3_000_000),
    )


def _at_one_price(day: list[Execution]) -> list[Execution]:
    """Return the executions with shares at 1,000."""
    shares = {"NSE", "BSE"}
    return [
        replace(one, price=Decimal(1000)) if one.instrument.exchange in shares else one
        for one in day
    ]


brokers = st.sampled_from(["zerodha", "fyers"])


@given(day=st.lists(executions(NAMES), max_size=8), more=executions(NAMES), broker=brokers)
def test_one_more_execution_lowers_no_charge(
    day: list[Execution], more: Execution, broker: str
) -> None:
    """Each line stays or grows, as long as a share has one price: its tax is on the average.

    And but for CNC that is sold again on the day, which is another tax.
    """
    day, more = _at_one_price(day), _at_one_price([more])[0]
    growth = closing_charges(day, [more], broker, DAY)
    lines = (growth.brokerage, growth.stt, growth.exchange, growth.sebi, growth.gst, growth.stamp)
    assert min(lines) >= 0
    assert growth.total is not None


@given(
    day=st.lists(executions((*NAMES, SHARES)), max_size=10), broker=brokers, others=st.booleans()
)
def test_different_kinds_add_up(day: list[Execution], broker: str, *, others: bool) -> None:
    """Shares apart from derivatives, or one exchange apart from another, make the same total."""
    exchange = "NSE" if others else "NFO"
    here = [one for one in day if one.instrument.exchange == exchange]
    rest = [one for one in day if one.instrument.exchange != exchange]
    assert charges_of(day, broker, DAY) == (
        charges_of(here, broker, DAY) + charges_of(rest, broker, DAY)
    )


@given(day=st.lists(executions((*NAMES, SHARES)), max_size=10), broker=brokers)
def test_order_of_executions_does_not_matter(day: list[Execution], broker: str) -> None:
    """A read that lists the trades differently makes the same charges."""
    assert charges_of(day, broker, DAY) == charges_of(day[::-1], broker, DAY)
