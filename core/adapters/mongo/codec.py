"""Values of the program as values of the store, and changes as the server's operators."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128

from core.ports.store import Change, Document

__all__ = ["CODEC", "change_operators", "operators", "refuse_naive"]


_WITHOUT_TIMES = frozenset({str, int, bool, type(None), Decimal, float, bytes})


class _DecimalCodec(TypeCodec):
    """``Decimal`` in the program, ``Decimal128`` (34 digits) in the store."""

    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


CODEC: CodecOptions[Document] = CodecOptions(
    tz_aware=True, tzinfo=UTC, type_registry=TypeRegistry([_DecimalCodec()])
)


def change_operators(change: Change) -> dict[str, Any]:
    """Return what an update command takes.

    Raises:
        ValueError: The change changes nothing, or holds a time without a zone.
    """
    refuse_naive(change.set)
    refuse_naive(change.set_on_insert)
    return operators(change)


def operators(change: Change) -> dict[str, Any]:
    """Return the same, of values that are known to have their zones."""
    parts = {
        "$set": dict(change.set),
        "$inc": dict(change.inc),
        "$setOnInsert": dict(change.set_on_insert),
    }
    found = {operator: fields for operator, fields in parts.items() if fields}
    if not found:
        raise ValueError("A change that changes nothing.")
    return found


def refuse_naive(value: object) -> None:
    """Raise for a datetime without a zone: BSON would take it for UTC, silently."""
    if type(value) in _WITHOUT_TIMES:
        return
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"A datetime without a zone: {value.isoformat()}.")
    elif isinstance(value, Mapping):
        for part in value.values():
            refuse_naive(part)
    elif isinstance(value, list | tuple):
        for part in value:
            refuse_naive(part)
