"""JSON and numbers of a broker, as far as they can be kept: what no store takes is not let in.

Half of a surrogate pair is no character, and a commit that holds one fails, again at every turn. A
number of a million digits stops the process while it is made whole.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

__all__ = ["decimal_of", "parsed"]

_HALF = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_WHOLE_DIGITS = 18
"""As many as 64 bits hold."""
_SMALLEST = -30
_LONGEST = 64


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


_JSON = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)


def parsed(body: bytes) -> Any:
    """Return a body's JSON, with exact decimals; half of a character is the sign for none.

    Raises:
        ValueError: It is no JSON.
    """
    text = body.decode(json.detect_encoding(body), "replace")
    if "\\ud" in text or "\\uD" in text:
        text = _HALF.sub(r"\\ufffd", text)
    try:
        return _JSON.decode(text)
    except RecursionError:  # a bomb of nested brackets
        raise ValueError("nested too deeply") from None


def decimal_of(value: int | str | Decimal) -> Decimal:
    """Return a number exactly as it was written.

    Raises:
        ValueError: It is none, or none that a price or a quantity can be.
    """
    if isinstance(value, str) and len(value) > _LONGEST:
        raise ValueError("is too long for a number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("is no number") from None
    if not number.is_finite():
        raise ValueError("is no number")
    if number and not _SMALLEST <= number.adjusted() < _WHOLE_DIGITS:
        raise ValueError("is beyond every price and quantity")
    return number
