"""Notices as documents, generic over the fields of their dataclasses.

A row may have been written by another version: a field that is not known here is ignored, one that
is missing takes its default. Whatever else does not fit is unreadable, and said to be.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from core.domain.notices.notice import Notice
from core.domain.notices.orders import ExternalOrder
from core.domain.notices.post import Delivery, Post
from core.domain.notices.system import Text
from core.errors import UnreadableNotice

__all__ = ["KINDS", "from_document", "post_of", "to_document"]

KINDS: Mapping[str, type[Notice]] = {one.kind: one for one in get_args(Notice)}
_HINTS = {one: get_type_hints(one) for one in KINDS.values()}


def to_document(notice: Notice) -> dict[str, Any]:
    """Return ``kind`` and ``data`` of a notice, in values that the store keeps."""
    values = {one.name: getattr(notice, one.name) for one in fields(notice)}
    return {"kind": notice.kind, "data": {name: _plain(one) for name, one in values.items()}}


def from_document(document: Mapping[str, Any]) -> Notice:
    """Return the notice of a document.

    Raises:
        UnreadableNotice: Its kind is unknown, a value has another type, or one is missing.
    """
    kind, data = document.get("kind"), document.get("data")
    if not isinstance(data, Mapping):
        raise UnreadableNotice(f"a notice of kind {kind!r} without data")
    if kind == ExternalOrder.kind and "client_order_id" not in data:
        # Until PositionShrunk had a kind of its own, it was stored as this one with a text.
        kind = Text.kind
    found = KINDS.get(str(kind))
    if found is None:
        raise UnreadableNotice(f"the kind {kind!r} is unknown")
    values: dict[str, Any] = {one.name: _value(found, one, data) for one in fields(found)}
    return found(**values)


def _plain(value: object) -> object:
    if isinstance(value, StrEnum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _value(owner: type[Notice], field: Field[Any], data: Mapping[str, Any]) -> object:
    """Return the value of one field, or its default where the document has none."""
    if field.name in data:
        try:
            return _typed(data[field.name], _HINTS[owner][field.name])
        except (TypeError, ValueError) as error:
            raise UnreadableNotice(f"{field.name} of {owner.kind}: {error}") from error
    if field.default is MISSING:
        raise UnreadableNotice(f"{field.name} of {owner.kind} is missing")
    return field.default


def _typed(value: Any, hint: Any) -> object:
    """Return a stored value as the type that a field declares."""
    if get_origin(hint) in {Union, types.UnionType}:
        if value is None:
            return None
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, found {type(value).__name__}")
        return tuple(_typed(one, get_args(hint)[0]) for one in value)
    if issubclass(hint, StrEnum):
        return hint(value)
    if not isinstance(value, hint) or isinstance(value, bool) is not (hint is bool):
        raise TypeError(f"expected {hint.__name__}, found {type(value).__name__}")
    return value


def post_of(row: Mapping[str, Any]) -> Post:
    """Return what a row posts; raises ``UnreadableNotice``."""
    if row["delivery"] not in list(Delivery):
        raise UnreadableNotice(f"the delivery {row['delivery']!r} is unknown")
    return Post(from_document(row), Delivery(row["delivery"]), row["key"], row["chat_id"])
