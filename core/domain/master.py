"""One broker's instruments by name, with what is looked up in them otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.domain.instrument import Instrument, InstrumentId

__all__ = ["Master"]

_NOWHERE: Mapping[str, InstrumentId] = {}


class Master(dict[InstrumentId, Instrument]):
    """Instruments by name. Whoever holds it sees it change, whole and at once (``become``).

    There are a hundred thousand, so the indexes are made with it, once, and not by each of those
    who look something up.

    Attributes:
        by_symbol: Names by the broker's own; empty where these are the same (Kite).
        by_isin: Every name of a share by its ISIN.
        exchanges: Of which there are instruments.
        is_stale: Whether some are of an earlier day.
    """

    def __init__(self, rows: Iterable[Instrument] = ()) -> None:
        super().__init__()
        self.by_symbol: Mapping[str, InstrumentId] = _NOWHERE
        self.by_isin: Mapping[str, frozenset[InstrumentId]] = {}
        self.exchanges: frozenset[str] = frozenset()
        self.is_stale = False
        symbols: dict[str, InstrumentId] = {}
        shares: dict[str, frozenset[InstrumentId]] = {}
        exchanges: set[str] = set()
        for row in rows:
            name = row.id
            self[name] = row
            exchanges.add(name.exchange)
            self.is_stale = self.is_stale or row.is_stale
            if row.broker_symbol != name.symbol:
                symbols[row.broker_symbol] = name
            if row.isin:
                others = shares.get(row.isin)
                shares[row.isin] = frozenset((name,)) if others is None else others | {name}
        self.by_symbol, self.by_isin, self.exchanges = symbols, shares, frozenset(exchanges)

    def copied(self) -> Master:
        """Return another one that holds the same."""
        other = Master()
        other.become(self)
        return other

    def become(self, fresh: Master) -> None:
        """Hold what another one holds, at once, so that no reader sees it empty."""
        self.clear()
        self.update(fresh)
        self.by_symbol, self.by_isin = fresh.by_symbol, fresh.by_isin
        self.exchanges, self.is_stale = fresh.exchanges, fresh.is_stale

    def named(self, symbol: str) -> InstrumentId | None:
        """Return our name of a broker's symbol."""
        return self.by_symbol.get(symbol)
