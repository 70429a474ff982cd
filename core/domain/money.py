"""Money, and how it is written in India (product.md E6). Amounts are ``Decimal`` rupees."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

__all__ = ["as_shown", "group_lakh", "round_to_tick", "rupees", "signed_rupees"]

_PAISE = Decimal("0.01")


def group_lakh(digits: str) -> str:
    """Group a string of digits the Indian way: ``12345678`` becomes ``1,23,45,678``."""
    head, tail = digits[:-3], digits[-3:]
    groups: list[str] = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return ",".join([*groups, tail])


def as_shown(amount: Decimal, *, paise: bool = True) -> Decimal:
    """Return an amount as it is shown; a total under rows is the sum of these."""
    return amount.quantize(_PAISE if paise else Decimal(1), rounding=ROUND_HALF_UP)


def rupees(amount: Decimal, *, paise: bool = True) -> str:
    """Return ``₹1,23,456.78`` (``-₹…`` below zero); without ``paise`` rounded to whole rupees."""
    rounded = as_shown(amount, paise=paise)
    whole, _, fraction = f"{abs(rounded):f}".partition(".")
    sign = "-" if rounded < 0 else ""
    return f"{sign}₹{group_lakh(whole)}" + (f".{fraction}" if fraction else "")


def signed_rupees(amount: Decimal, *, paise: bool = True) -> str:
    """Return ``+₹250.00`` or ``-₹1,000.00``; what reads as zero has no sign."""
    text = rupees(amount, paise=paise)
    return f"+{text}" if as_shown(amount, paise=paise) > 0 else text


def round_to_tick(price: Decimal, tick: Decimal, *, up: bool) -> Decimal:
    """Move ``price`` onto the tick grid, away from or towards zero as ``up`` says."""
    steps = price / tick
    whole = steps.to_integral_value(rounding="ROUND_CEILING" if up else "ROUND_FLOOR")
    return whole * tick
