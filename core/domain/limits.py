"""Limits: the numbers that entries are held to, and what a load of them says (rows R1 and F8).

Pure. A set of limits belongs to one account, or to all together. A ``Load`` is what counts against
one set at one moment, beside the entry that is asked about; ``first_passed`` says whether the entry
would pass one of its numbers. The daily loss is no check of an entry: it ends in EXIT_ONLY
(``core.engine.safeguards.loss_limit``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.domain.money import group_lakh, rupees
from core.domain.typed_number import plain_digits, read_amount
from core.errors import UserError

__all__ = [
    "MONEY",
    "NAMES",
    "NEEDED_LIVE",
    "SAID_ONCE",
    "USUAL",
    "LimitKind",
    "Limits",
    "Load",
    "PassedLimit",
    "first_passed",
    "missing_live",
    "parse_limit",
    "shown",
]


class LimitKind(StrEnum):
    """What a limit bounds; the values are stored, and are the fields of ``Limits``."""

    DAILY_LOSS = "daily_loss"
    ORDER_VALUE = "order_value"
    POSITION_VALUE = "position_value"
    OPEN_POSITIONS = "open_positions"
    ORDERS_MINUTE = "orders_minute"
    ORDERS_DAY = "orders_day"


MONEY = frozenset({LimitKind.DAILY_LOSS, LimitKind.ORDER_VALUE, LimitKind.POSITION_VALUE})
"""Limits in whole rupees; the others are counts."""
NAMES: Mapping[LimitKind, str] = {
    LimitKind.DAILY_LOSS: "daily loss",
    LimitKind.ORDER_VALUE: "order value",
    LimitKind.POSITION_VALUE: "position value",
    LimitKind.OPEN_POSITIONS: "open positions",
    LimitKind.ORDERS_MINUTE: "orders a minute",
    LimitKind.ORDERS_DAY: "orders a day",
}
NEEDED_LIVE = (LimitKind.DAILY_LOSS, LimitKind.ORDER_VALUE)
"""What must be set on an account before an entry goes to the broker's own address (F8)."""
SAID_ONCE = frozenset({kind.name for kind in LimitKind} | {"UNPROVED", "SHUT"})
"""Codes of denials that last: a strategy that signals at each slot has them said once a day."""
USUAL: Mapping[LimitKind, Sequence[int]] = {
    LimitKind.DAILY_LOSS: (1000, 2500, 5000, 10000, 25000, 50000),
    LimitKind.ORDER_VALUE: (25000, 50000, 100000, 250000, 500000, 1000000),
    LimitKind.POSITION_VALUE: (50000, 100000, 250000, 500000, 1000000, 2500000),
    LimitKind.OPEN_POSITIONS: (1, 2, 3, 5, 10, 20),
    LimitKind.ORDERS_MINUTE: (5, 10, 20, 50, 100, 200),
    LimitKind.ORDERS_DAY: (20, 50, 100, 250, 500, 1000),
}
"""What the buttons offer."""
_BOUNDS: Mapping[LimitKind, tuple[int, int]] = {
    LimitKind.DAILY_LOSS: (1, 10**9),
    LimitKind.ORDER_VALUE: (1, 10**9),
    LimitKind.POSITION_VALUE: (1, 10**9),
    LimitKind.OPEN_POSITIONS: (1, 500),
    LimitKind.ORDERS_MINUTE: (1, 1000),
    LimitKind.ORDERS_DAY: (1, 10000),
}
_COUNTED = re.compile(r"\s*(?:orders?|positions?)(?: (?:a|per) (?:day|minute))?$", re.IGNORECASE)
_PLAIN = re.compile(r"\d+")
_LAKH = re.compile(r"\d{1,2}(,\d{2})*,\d{3}")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")


@dataclass(frozen=True, slots=True)
class Limits:
    """One set of limits; None is no limit. Rupees are whole and Decimal."""

    daily_loss: Decimal | None = None
    order_value: Decimal | None = None
    position_value: Decimal | None = None
    open_positions: int | None = None
    orders_minute: int | None = None
    orders_day: int | None = None

    def of(self, kind: LimitKind) -> Decimal | int | None:
        """Return one of the numbers."""
        found: Decimal | int | None = getattr(self, kind.value)
        return found

    def changed(self, kind: LimitKind, value: Decimal | int | None) -> Limits:
        """Return the set with one number replaced."""
        given: dict[str, Any] = {kind.value: value}
        return replace(self, **given)

    @property
    def bounds_entries(self) -> bool:
        """Whether any of them is a check of an entry."""
        return any(
            getattr(self, one.name) is not None for one in fields(self) if one.name != "daily_loss"
        )


def parse_limit(kind: LimitKind, text: str) -> Decimal | int:
    """Return a typed number: whole, in bounds, its digits grouped rightly or not at all.

    Raises:
        UserError: It is none.
    """
    low, high = _BOUNDS[kind]
    what = "whole rupees" if kind in MONEY else "a whole number"
    example = "2,50,000 or 2.5L" if kind in MONEY else str(USUAL[kind][2])
    given = text.strip()
    bare = plain_digits(given).removeprefix("₹").strip()
    if kind not in MONEY:
        bare = _COUNTED.sub("", bare)
    forms = (_PLAIN, _LAKH, _THOUSANDS)
    if bare.isascii() and any(form.fullmatch(bare) for form in forms):
        number = int(bare.replace(",", "")[:20])
    elif kind in MONEY and (amount := _in_words(bare)) is not None:
        number = amount
    else:
        raise UserError(f"Found {given[:30]!r}; expected {what}, like {example}.")
    if not low <= number <= high:
        raise UserError(
            f"Found {given[:30]!r}; expected {what} from {group_lakh(str(low))} to "
            f"{group_lakh(str(high))}."
        )
    return Decimal(number) if kind in MONEY else number


def _in_words(text: str) -> int | None:
    """Return the whole rupees of an amount with words: ``2.5L``, ``50k``, ``Rs 500``, ``500/-``."""
    is_worded = any(map(str.isalpha, text)) or text.endswith("/-")
    amount = read_amount(text) if is_worded else None
    return int(amount) if amount is not None and amount == int(amount) else None


def shown(kind: LimitKind, value: Decimal | int | None) -> str:
    """Return a limit as the chat shows it."""
    if value is None:
        return "no limit"
    return _money(Decimal(value)) if kind in MONEY else group_lakh(str(value))


def missing_live(limits: Limits) -> tuple[LimitKind, ...]:
    """Return what is still to be set before an entry goes to the broker's own address (F8)."""
    return tuple(kind for kind in NEEDED_LIVE if limits.of(kind) is None)


@dataclass(frozen=True, slots=True)
class Load:
    """What counts against a set of limits, beside the entry that is asked about.

    Attributes:
        is_all: The set is that of all accounts together, and so are the counts.
        entry_units: Units of the same entry in other orders: its slices, and for all accounts
            together the entries of the same run in the instrument.
        units: Units of the same instrument and product, held or being entered.
        positions: How many (instrument, product) are held or being entered.
        is_open: Whether that of the entry is among them.
        in_minute: Orders of ours that went out in the last minute, exits and stops too.
        in_day: The same of the trading day.
    """

    limits: Limits
    is_all: bool = False
    entry_units: int = 0
    units: int = 0
    positions: int = 0
    is_open: bool = False
    in_minute: int = 0
    in_day: int = 0


@dataclass(frozen=True, slots=True)
class PassedLimit:
    """A limit that an entry would pass: a code, and one clause with the numbers."""

    code: str
    reason: str


def first_passed(
    loads: Iterable[Load], quantity: int, price: Decimal | None, orders: int = 1
) -> PassedLimit | None:
    """Return the first limit that an entry of so many units would pass, or None.

    Args:
        loads: What counts beside it.
        quantity: Units; 0 while the entry has no size yet: then only the counts are asked.
        price: Rupees a unit. An unknown one passes no limit of a value: what cannot be worked out
            is not sent.
        orders: How many orders it takes: a large entry goes in slices, and is sent whole or not.
    """
    for load in loads:
        found = _of_counts(load, orders) or _of_values(load, quantity, price)
        if found is not None:
            return found
    return None


def _of_counts(load: Load, orders: int) -> PassedLimit | None:
    limits, where = load.limits, _where(load)
    more = f" and {orders} for this entry" if orders > 1 else ""
    if limits.orders_day is not None and load.in_day + orders > limits.orders_day:
        reason = (
            f"{_orders(load.in_day)} today{where}{more}, the limit is {limits.orders_day} a day"
        )
        return PassedLimit("ORDERS_DAY", reason)
    if limits.orders_minute is not None and load.in_minute + orders > limits.orders_minute:
        reason = (
            f"{_orders(load.in_minute)} in the last minute{where}{more}, the limit is "
            f"{limits.orders_minute} a minute"
        )
        return PassedLimit("ORDERS_MINUTE", reason)
    adds = not load.is_open
    if limits.open_positions is not None and load.positions + adds > limits.open_positions:
        if not adds:
            return None  # it grows what is open already
        noun = "position" if load.positions == 1 else "positions"
        reason = f"{load.positions} {noun} open{where}, the limit is {limits.open_positions}"
        return PassedLimit("OPEN_POSITIONS", reason)
    return None


def _of_values(load: Load, quantity: int, price: Decimal | None) -> PassedLimit | None:
    if quantity == 0:
        return None
    for kind, units in (
        (LimitKind.ORDER_VALUE, quantity + load.entry_units),
        (LimitKind.POSITION_VALUE, quantity + load.units),
    ):
        limit = load.limits.of(kind)
        if limit is None:
            continue
        if price is None or price <= 0:
            reason = (
                f"its price is not known, so the limit of {_money(Decimal(limit))} of "
                f"{NAMES[kind]} cannot be checked"
            )
            return PassedLimit(kind.name, reason)
        # Units of the exchanges that are traded are shares, so a value needs no other multiplier.
        value = units * price
        if value > limit:
            what = "order" if kind is LimitKind.ORDER_VALUE else "position"
            reason = (
                f"{what} of {_money(value)}{_where(load)} above the limit of "
                f"{_money(Decimal(limit))}"
            )
            return PassedLimit(kind.name, reason)
    return None


def _orders(count: int) -> str:
    return f"{count} order" if count == 1 else f"{count} orders"


def _where(load: Load) -> str:
    return " on all accounts together" if load.is_all else ""


def _money(amount: Decimal) -> str:
    """Return rupees, with paise only where there are some: 1,00,000.40 is above 1,00,000."""
    return rupees(amount, paise=amount != amount.to_integral_value())
