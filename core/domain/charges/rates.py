"""The rates of charges, each valid from a date, from the committed file ``rates.csv``.

A row answers for what it names; ``any`` matches everything. Of the rows that match, the one with
the latest date counts, and on one date the more particular. A row has percents of the value of a
buy and of a sell, or rupees, or both: ``0.03, 0.03, 20`` is 0.03 percent and at most 20 rupees for
an order, ``, , 20`` is flat. ``certainty`` is ``published`` or ``uncertain``; a source says where
the number is from and what it does not tell apart.

The file begins with 2021, as the calendar does. Until 30 September 2024 exchanges charged by slabs
of a broker's turnover, and what a client paid is ``uncertain``. What the file has no row for is
unknown, never nothing: a nil charge has a row that says 0.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files

__all__ = ["ANY", "Rate", "Rates", "packaged_rates", "read_rates"]

ANY = "any"
_CERTAINTIES = frozenset({"published", "uncertain"})
_HUNDRED = Decimal(100)
_MOST_ASKED = 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """One row.

    Attributes:
        buy: Share of the value of a buy, None where the charge is flat.
        sell: Share of the value of a sell, None where the charge is flat.
        rupees: The most for one order, or the flat amount.
    """

    effective: date
    charge: str
    broker: str
    exchange: str
    segment: str
    buy: Decimal | None
    sell: Decimal | None
    rupees: Decimal | None
    is_certain: bool
    source: str


class Rates:
    """All rows, asked by day. What was asked is kept: it is asked again at every look at prices."""

    def __init__(self, rows: Iterable[Rate]) -> None:
        self.rows = tuple(rows)
        self._asked: dict[tuple[str, date, str, str, str], Rate | None] = {}

    def at(
        self, charge: str, day: date, *, broker: str, exchange: str, segment: str
    ) -> Rate | None:
        """Return the rate of a charge on a day; None when the file has none."""
        key = (charge, day, broker, exchange, segment)
        if key not in self._asked:
            if len(self._asked) >= _MOST_ASKED:
                self._asked.clear()
            self._asked[key] = self._look(charge, day, (broker, exchange, segment))
        return self._asked[key]

    def _look(self, charge: str, day: date, wanted: tuple[str, str, str]) -> Rate | None:
        found = [
            row
            for row in self.rows
            if row.charge == charge
            and row.effective <= day
            and all(
                named in (ANY, asked)
                for named, asked in zip(
                    (row.broker, row.exchange, row.segment), wanted, strict=True
                )
            )
        ]
        return max(found, key=lambda row: (row.effective, _particular(row)), default=None)


def _particular(row: Rate) -> int:
    return sum(named != ANY for named in (row.broker, row.exchange, row.segment))


def read_rates(text: str) -> Rates:
    """Read the text of a file of rates.

    Raises:
        ValueError: A row is malformed; the message has its line.
    """
    rows = []
    for number, row in enumerate(csv.DictReader(text.splitlines(), strict=True), start=2):
        try:
            rows.append(_rate(row))
        except (ArithmeticError, KeyError, ValueError) as error:
            raise ValueError(f"line {number} of the rates: {error!r}") from error
    return Rates(rows)


def _rate(row: Mapping[str, str]) -> Rate:
    if row["certainty"] not in _CERTAINTIES or not row["source"]:
        raise ValueError("a rate needs its certainty and its source")
    buy, sell = _share(row["buy_percent"]), _share(row["sell_percent"])
    rupees = Decimal(row["rupees"]) if row["rupees"] else None
    if (buy is None) != (sell is None) or (buy is None and rupees is None):
        raise ValueError("a rate needs both percents, or rupees")
    return Rate(
        date.fromisoformat(row["effective"]),
        row["charge"],
        row["broker"],
        row["exchange"],
        row["segment"],
        buy,
        sell,
        rupees,
        row["certainty"] == "published",
        row["source"],
    )


def _share(percent: str) -> Decimal | None:
    return Decimal(percent) / _HUNDRED if percent else None


@cache
def packaged_rates() -> Rates:
    """Return the committed rates. They are part of the program, read once a process."""
    return read_rates(files(__package__).joinpath("rates.csv").read_text(encoding="utf-8"))
