"""Which names one share has, by its ISIN in the instrument master."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from core.domain.instrument import Instrument, InstrumentId
from core.domain.master import Master

__all__ = ["ShareNames"]


class ShareNames:
    """Names by ISIN of one master; it follows a master that is loaded anew.

    The engine's ``Master`` has them already.
    """

    def __init__(self, master: Mapping[InstrumentId, Instrument]) -> None:
        self._master = master
        self._first: Instrument | None = None
        self._size = 0
        self._names: dict[str, frozenset[InstrumentId]] = {}

    def of(self, isin: str) -> frozenset[InstrumentId]:
        """Return every name of a share; none for an ISIN that the master does not know."""
        if isinstance(self._master, Master):
            return self._master.by_isin.get(isin, frozenset()) if isin else frozenset()
        first = next(iter(self._master.values()), None)
        if first is not self._first or len(self._master) != self._size:
            self._first, self._size = first, len(self._master)
            found: defaultdict[str, set[InstrumentId]] = defaultdict(set)
            for name, row in self._master.items():
                if row.isin:
                    found[row.isin].add(name)
            self._names = {key: frozenset(names) for key, names in found.items()}
        return self._names.get(isin, frozenset()) if isin else frozenset()
