"""A broker's instruments and their indexes change whole, for everybody who holds them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.adapters.fyers.instruments import SymbolBook
from core.adapters.share_names import ShareNames
from core.domain.instrument import Instrument, InstrumentId, Segment
from core.domain.master import Master


def row(exchange: str, symbol: str, *, isin: str = "", is_stale: bool = False) -> Instrument:
    return Instrument(
        InstrumentId(exchange, symbol),
        f"{exchange}:{symbol}-EQ",
        symbol,
        1,
        Decimal("0.05"),
        Segment.CASH,
        isin=isin,
        is_stale=is_stale,
    )


ROWS = [row("NSE", "SBIN", isin="INE1"), row("BSE", "SBIN", isin="INE1"), row("NSE", "TCS")]


@pytest.mark.parametrize("kind", [Master, lambda rows: {one.id: one for one in rows}])
def test_symbols_and_isins_lead_to_names(kind: type[Master]) -> None:
    """The same from a ``Master`` and from any other mapping."""
    master = kind(ROWS)
    book, shares = SymbolBook(master), ShareNames(master)
    assert [book.named(one.broker_symbol) for one in ROWS] == [one.id for one in ROWS]
    assert book.named("NSE:XYZ-EQ") == InstrumentId("NSE", "XYZ-EQ")
    assert shares.of("INE1") == {InstrumentId("NSE", "SBIN"), InstrumentId("BSE", "SBIN")}
    assert shares.of("INE2") == shares.of("") == frozenset()


def test_a_master_that_changes_is_seen_by_who_holds_it() -> None:
    """With its indexes, and without what is gone."""
    master = Master(ROWS)
    book, shares = SymbolBook(master), ShareNames(master)
    before = master.copied()
    master.become(Master([row("BSE", "INFY", isin="INE3", is_stale=True)]))
    infy = InstrumentId("BSE", "INFY")
    assert list(master) == [infy] and master.exchanges == {"BSE"} and master.is_stale
    assert book.named("BSE:INFY-EQ") == infy and shares.of("INE3") == {infy}
    assert shares.of("INE1") == frozenset()
    assert list(before) == [one.id for one in ROWS] and not before.is_stale
    assert before.exchanges == {"NSE", "BSE"} and len(before.by_isin["INE1"]) == 2
