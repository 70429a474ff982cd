"""Numbers as users type them: plain digits, bounded in length, before anything is worked out.

``Decimal`` and ``int`` read more than a person means: exponents (``1e6000``), underscores, digits
of other scripts, thousands of digits, NaN.
"""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["read_number"]

_LONGEST = 40
_NUMBER = re.compile(r"[+-]?(?:\d{1,15}|\d{1,3}(?:,\d{2,3}){1,6})?(?:\.\d{1,6})?", re.ASCII)


def read_number(text: str) -> Decimal | None:
    """Return the number in a text, or None where it is none: ``2,50,000``, ``₹500.50``, ``10 %``.

    It is below 10**15 and has six decimals at most; what it may be is for the caller to say.
    """
    bare = text.strip()
    sign = bare[:1] if bare[:1] in {"+", "-"} else ""
    bare = bare[len(sign) :].strip().removeprefix("₹").removesuffix("%").strip()
    if len(bare) > _LONGEST or not any("0" <= one <= "9" for one in bare):
        return None
    if bare[:1] in {"+", "-"} or not _NUMBER.fullmatch(bare):
        return None
    number = Decimal(sign + bare.replace(",", ""))
    return number if abs(number) < Decimal(10) ** 15 else None
