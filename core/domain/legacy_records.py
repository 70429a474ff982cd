"""Documents of an unknown program as flat records, and what their values say (product.md A11)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.domain.plain_text import plain_line
from core.domain.sessions import IST

__all__ = ["Record", "claims_of", "kind_of", "records_of", "signless", "time_of"]

_DEEP = 5
_MILLISECONDS_FROM = 1e11
_LONGEST_KEY = 12
_SHOWN_KEY = 4
_MADE_BY_DATABASE = re.compile(r"[0-9a-f]{24}")
_MAY_BE_SECRET = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{6,}")
"""Letters and digits in one word."""
_LONGEST_NAME = 60
_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_ROW_NAMES = ("key", "name", "setting")
_FORMS = ("%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%d-%m-%Y")


@dataclass(frozen=True, slots=True)
class Record:
    """A document, or all rows of a collection that holds a name and a value in each."""

    collection: str
    key: object
    fields: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Where it was found, for a person to look it up."""
        return self.collection if self.key is None else f"{self.collection}/{self.shown_key}"

    @property
    def shown_key(self) -> str:
        """Its id, as far as that may be shown: some programs store a token under itself."""
        text = plain_line(str(self.key))
        is_short = len(text) <= _LONGEST_KEY and not _MAY_BE_SECRET.search(text)
        is_shown = is_short or _MADE_BY_DATABASE.fullmatch(text)
        return text if is_shown else f"{text[:_SHOWN_KEY]}…"


def records_of(name: str, documents: Sequence[Mapping[str, Any]]) -> Iterator[Record]:
    """Yield the documents of a collection, and rows of names and values as one."""
    rows: dict[str, Any] = {}
    for document in documents:
        row_name = _row_name(document)
        if row_name is not None:
            rows[row_name] = {k: v for k, v in document.items() if k not in {"_id", *_ROW_NAMES}}
            continue
        yield Record(name, document.get("_id"), dict(_flat(document)))
    if rows:
        yield Record(name, None, dict(_flat(rows)))


def _row_name(document: Mapping[str, Any]) -> str | None:
    if "value" not in document:
        return None
    for name in (*_ROW_NAMES, "_id"):
        if isinstance(document.get(name), str):
            return str(document[name])
    return None


def _flat(value: Mapping[str, Any], above: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value) of everything in a document that is no document itself."""
    for name, packed in value.items():
        # It is shown on a terminal, which obeys control characters.
        plain = plain_line(str(name))[:_LONGEST_NAME]
        path = f"{above}.{plain}" if above else plain
        part = _unpacked(packed)
        if isinstance(part, Mapping) and depth < _DEEP:
            yield from _flat(part, path, depth + 1)
        elif path != "_id":
            yield path, part


def _unpacked(value: object) -> object:
    """Return the object in a text that is JSON: what brokers answer is often stored so."""
    if isinstance(value, str) and value.startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def signless(text: str) -> str:
    """Return a name in small letters and digits alone."""
    return "".join(sign for sign in text.lower() if sign.isalnum())


def kind_of(value: object) -> str:
    """Return what a value is, in words; the value itself may be a secret."""
    names = {bool: "yes or no", int: "number", float: "number", bytes: "binary value", list: "list"}
    return names.get(type(value), type(value).__name__)


def claims_of(token: str) -> Mapping[str, Any]:
    """Return what a token says of itself; it proves nothing, and the broker has the last word."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - head, claims, signature
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        found = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read_time(text: str) -> datetime:
    """Read ISO 8601, or a day first as India writes it; raises ``ValueError``."""
    for form in _FORMS:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.replace("/", "-"), form)  # noqa: DTZ007 - the caller's
    return datetime.fromisoformat(text)


def time_of(value: object) -> datetime | None:
    """Return a time that a program stored in one of the usual ways, None for anything else.

    A text without a zone is India's time, as the program's users read it.
    """
    found = _time_in(value)
    return found if found is not None and _FIRST_YEAR <= found.year <= _LAST_YEAR else None


def _time_in(value: object) -> datetime | None:
    try:
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            seconds = value / 1000 if value > _MILLISECONDS_FROM else value
            return datetime.fromtimestamp(seconds, UTC)
        if isinstance(value, str):
            found = _read_time(value.strip())
            return found if found.tzinfo else found.replace(tzinfo=IST)
    except (ValueError, OverflowError, OSError):
        return None
    return None
