"""Numbers as users type them: plain digits, bounded in length, before anything is worked out.

``Decimal`` and ``int`` read more than a person means: exponents (``1e6000``), underscores, digits
of any script, thousands of digits, NaN. Digits of a Hindi keyboard are read as the plain ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

__all__ = ["plain_digits", "read_amount", "read_amounts", "read_number"]

_LONGEST = 40
_MOST = Decimal(10) ** 15
_NUMBER = re.compile(r"[+-]?(?:\d{1,15}|\d{1,3}(?:,\d{2,3}){1,6})?(?:\.\d{1,6})?", re.ASCII)
_UNITS: Mapping[str, int] = {
    **dict.fromkeys(("k", "thousand"), 10**3),
    **dict.fromkeys(("l", "lac", "lacs", "lakh", "lakhs"), 10**5),
    **dict.fromkeys(("cr", "crore", "crores"), 10**7),
}
_UNIT = rf"(?:{'|'.join(sorted(_UNITS, key=len, reverse=True))})"
_RUPEES = r"(?:₹|rs\.?|inr)"
_AMOUNT = re.compile(
    rf"(?P<sign>[+-]?)\s*{_RUPEES}?\s*(?P<number>[\d,.]+)\s*(?P<unit>{_UNIT}?)\b\s*"
    r"(?:rupees|rs\.?|/-)?\s*(?:only)?",
    re.ASCII | re.IGNORECASE,
)
_AMOUNTS = re.compile(
    rf"(?<![\w.])\d+(?:,\d+)*(?:\.\d+)?(?:\s*{_UNIT})?(?!\w)", re.ASCII | re.IGNORECASE
)
_OF_WHAT = re.compile(
    r"\s*(?:%|percent|per cent|shares?|units?|qty|minutes?|mins?|x|×|times)$", re.IGNORECASE
)
"""What is counted, behind a number; lots are not units, so they are no number."""
_DEVANAGARI = {0x966 + digit: str(digit) for digit in range(10)}


def plain_digits(text: str) -> str:
    """Return a text with the digits of a Hindi keyboard as plain ones: ``५०`` is ``50``."""
    return text.translate(_DEVANAGARI)


def read_number(text: str) -> Decimal | None:
    """Return the number in a text, or None where it is none: ``2,50,000``, ``₹500.50``, ``10 %``.

    It is below 10**15 and has six decimals at most; what it may be is for the caller to say.
    """
    bare = plain_digits(text).strip()
    sign = bare[:1] if bare[:1] in {"+", "-"} else ""
    bare = _OF_WHAT.sub("", bare[len(sign) :].strip().removeprefix("₹")).strip()
    if len(bare) > _LONGEST or not any("0" <= one <= "9" for one in bare):
        return None
    if bare[:1] in {"+", "-"} or not _NUMBER.fullmatch(bare):
        return None
    number = Decimal(sign + bare.replace(",", ""))
    return number if abs(number) < _MOST else None


def read_amount(text: str) -> Decimal | None:
    """Return the rupees in a text, or None where there are none.

    As people write them: ``2,50,000``, ``₹2.5L``, ``2.5 lakh``, ``50k``, ``1 cr``, ``Rs. 500``.
    """
    bare = plain_digits(text).strip()
    if len(bare) > _LONGEST or (found := _AMOUNT.fullmatch(bare)) is None:
        return None
    number = read_number(found["sign"] + found["number"])
    if number is None:
        return None
    amount = number * _UNITS.get(found["unit"].casefold(), 1)
    return amount if abs(amount) < _MOST else None


def read_amounts(text: str) -> list[Decimal] | None:
    """Return the amounts in a text, whatever stands between them; None where one is none.

    Without signs, because amounts may be joined by them: ``5000-2500-1000-500``.
    """
    text = plain_digits(text)
    if any(map(str.isdigit, _AMOUNTS.sub("", text))):
        return None
    found = [read_amount(one) for one in _AMOUNTS.findall(text)]
    return [one for one in found if one is not None] if None not in found else None
