"""What the driver's errors mean to a caller of the store port."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

from core.errors import DuplicateKey, StoreError, StoreUnavailable, TransactionConflict

__all__ = ["is_conflict", "is_transient", "is_unknown_commit", "mapped"]

_DUPLICATE = 11000
_WRITE_CONFLICT = 112
_AUTHENTICATION = frozenset({13, 18})

# Codes with which a server says that it cannot write (now): shutting down, not primary, stepping
# down, interrupted, disk full, failed file stream, and the internal errors that the embedded server
# answers when its files fail it.
_CANNOT_WRITE = frozenset(
    {
        1,
        6,
        7,
        8,
        39,
        64,
        89,
        91,
        95,
        189,
        262,
        9001,
        10058,
        10107,
        11600,
        11602,
        13435,
        13436,
        14031,
    }
)
_INDEX_NAME = re.compile(r"index: (?:\S+\.\$)?(\S+) dup key")


def is_transient(error: PyMongoError) -> bool:
    """Return whether the whole transaction may run again: this attempt changed nothing."""
    return error.has_error_label("TransientTransactionError")


def is_unknown_commit(error: PyMongoError) -> bool:
    """Return whether a commit may have taken effect although it failed."""
    return error.has_error_label("UnknownTransactionCommitResult")


def is_conflict(error: PyMongoError) -> bool:
    """Return whether a write met another transaction's write."""
    return isinstance(error, OperationFailure) and _code(error) == _WRITE_CONFLICT


def mapped(error: PyMongoError) -> StoreError:
    """Return the exception of :mod:`core.errors` that says what ``error`` means."""
    if isinstance(error, ConnectionFailure | ExecutionTimeout | WriteConcernError):
        return StoreUnavailable(f"The store does not answer: {_words(error)}")
    if not isinstance(error, OperationFailure):
        return StoreError(f"The store refused: {_words(error)}")
    code = _code(error)
    if code == _DUPLICATE:
        index = _index_of(error)
        return DuplicateKey(f"A document with this key exists already ({index}).", index)
    if code == _WRITE_CONFLICT or is_transient(error):
        return TransactionConflict(f"Another write was faster: {_words(error)}")
    if code in _AUTHENTICATION:
        return StoreUnavailable("The store does not accept the user or password of its address.")
    if code in _CANNOT_WRITE:
        return StoreUnavailable(f"The store cannot write: {_words(error)}")
    return StoreError(f"The store refused (code {code}): {_words(error)}")


def _details(error: OperationFailure) -> Mapping[str, Any]:
    details: Mapping[str, Any] = error.details or {}
    if isinstance(error, BulkWriteError):
        return next(iter(details.get("writeErrors", ())), details)
    return details


def _code(error: OperationFailure) -> int | None:
    code = _details(error).get("code", error.code)
    return code if isinstance(code, int) else None


def _index_of(error: OperationFailure) -> str | None:
    found = _INDEX_NAME.search(str(_details(error).get("errmsg", error)))
    return found.group(1) if found else None


def _words(error: PyMongoError) -> str:
    """Return the first line, without the topology dump that the driver appends."""
    return str(error).split(", Timeout: ", 1)[0].split(", full error", 1)[0].splitlines()[0][:300]
