"""Typed access to the rows of a broker's JSON. Every defect is a MALFORMED read, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from core.adapters.broker_json import decimal_of
from core.adapters.clock import MARKET_ZONE
from core.domain.instrument import InstrumentId
from core.domain.odd_rows import OddRow, Rows
from core.domain.plain_text import plain_line
from core.errors import BrokerReadError, ReadFault

__all__ = [
    "Malformed",
    "Row",
    "UnknownWord",
    "checked_name",
    "malformed",
    "readable",
    "rows_of",
    "said",
]

_ZERO = Decimal(0)
_LONGEST_WORD = 20
_LONGEST_WORDS = 500
_LONGEST_NAME = 64

T = TypeVar("T")


class Malformed(BrokerReadError):
    """An answer, or a row of it, does not have the documented shape; ``what`` says where."""

    def __init__(self, what: str) -> None:
        super().__init__(ReadFault.MALFORMED, f"the broker's answer is malformed: {what}")
        self.what = what


class UnknownWord(Malformed):
    """A row names a product, a side or an exchange that is none of those documented."""

    def __init__(self, field: str, word: object) -> None:
        super().__init__(f"{field} {str(word)[:_LONGEST_WORD]!a}")


def malformed(what: str) -> BrokerReadError:
    """Return the error for an answer that does not have the documented shape."""
    return Malformed(what)


class Row:
    """One JSON object; its getters name the field they miss."""

    __slots__ = ("_data",)

    def __init__(self, data: object) -> None:
        if not isinstance(data, Mapping):
            raise malformed(f"found {type(data).__name__}, expected an object")
        self._data: Mapping[str, Any] = data

    def get(self, key: str) -> Any:
        """Return the raw value, None when absent."""
        return self._data.get(key)

    def text(self, key: str) -> str:
        """Return a non-empty text; numbers are taken by their digits."""
        value = self.maybe_text(key)
        if value is None:
            raise malformed(f"no {key}")
        return value

    def maybe_text(self, key: str) -> str | None:
        """Return a text, or None when it is absent, null or empty."""
        value = self._data.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return value if isinstance(value, str) and value else None

    def whole(self, key: str, default: int | None = None) -> int:
        """Return an integer; ``default`` replaces an absent or null one."""
        number = self.number(key, None if default is None else Decimal(default))
        if number != number.to_integral_value():
            raise malformed(f"{key} is {number}, expected a whole number")
        return int(number)

    def number(self, key: str, default: Decimal | None = _ZERO) -> Decimal:
        """Return a number exactly as it was written; ``default`` replaces null."""
        value = self._data.get(key)
        if value is None or value == "":
            if default is None:
                raise malformed(f"no {key}")
            return default
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise malformed(f"{key} is no number")
        try:
            return decimal_of(value)
        except ValueError as error:
            raise malformed(f"{key} {error}") from error

    def price(self, key: str) -> Decimal | None:
        """Return a price, or None for the 0 that brokers write where there is none."""
        return self.number(key) or None

    def row(self, key: str) -> Row:
        """Return the object inside this one."""
        return Row(self._data.get(key))

    def rows(self, key: str) -> list[Row]:
        """Return the list of objects inside this one."""
        return rows_of(self._data.get(key), key)

    def ist(self, key: str) -> datetime | None:
        """Return an ISO time without zone as IST, None when absent or of another form."""
        value = self._data.get(key)
        try:
            return datetime.fromisoformat(value).replace(tzinfo=MARKET_ZONE) if value else None
        except (TypeError, ValueError):
            return None


def said(text: str) -> str:
    """Return a broker's words as one plain line: they are kept and shown as they are."""
    if not (text.isascii() and text.isprintable()):
        text = plain_line(text)
    return text[:_LONGEST_WORDS]


def rows_of(payload: object, what: str) -> list[Row]:
    """Return a JSON list as rows."""
    if not isinstance(payload, list):
        raise malformed(f"{what} is {type(payload).__name__}, expected a list")
    return [Row(item) for item in payload]


def checked_name(name: InstrumentId) -> InstrumentId:
    """Return a name that can be written down and read back.

    Raises:
        UnknownWord: The exchange is no word in capitals, or the symbol no short word in plain
            letters: what shows nothing, or turns what follows, passes for another instrument.
    """
    if not name.exchange.isupper() or ":" in name.exchange:
        raise UnknownWord("exchange", name.exchange)
    if (
        not (name.symbol.isascii() and name.symbol.isprintable())
        or len(name.symbol) > _LONGEST_NAME
    ):
        raise UnknownWord("symbol", name.symbol)
    return name


def readable(
    rows: Iterable[Row],
    translate: Callable[[Row], T],
    odd: Callable[[Row, Malformed], OddRow | None],
) -> Rows[T]:
    """Translate rows one by one.

    Args:
        rows: The rows.
        translate: Reads one.
        odd: Says what is known of a row that could not be read and may be left out; None when it
            may not, because nobody knows what would be missing then.

    Raises:
        BrokerReadError: A row could not be read that may not be left out.
    """
    found, left_out = [], []
    for row in rows:
        try:
            found.append(translate(row))
        except Malformed as error:
            one = odd(row, error)
            if one is None:
                raise
            left_out.append(one)
    return Rows(found, left_out)
