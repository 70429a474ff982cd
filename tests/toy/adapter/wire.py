"""Toy's wire: requests of JSON, and what is known from an answer."""

from __future__ import annotations

from typing import Any

import requests

from core.adapters.broker_http import NoReply, Raw
from core.adapters.fields import malformed
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.errors import BrokerReadError, ReadFault

__all__ = ["payload_of", "request", "write_outcome"]

_UNAUTHORISED = 401
_FAULTS = {
    _UNAUTHORISED: ReadFault.AUTH_REQUIRED,
    403: ReadFault.PERMISSION,
    429: ReadFault.THROTTLED,
}
_REFUSALS = {
    400: Refusal.REJECTED,
    _UNAUTHORISED: Refusal.AUTH_REQUIRED,
    403: Refusal.PERMISSION,
    429: Refusal.THROTTLED,
}


def request(
    method: str, url: str, token: str = "", body: Any = None, **query: str
) -> requests.PreparedRequest:
    """Return a request; ``token`` is that of a login."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.Request(method, url, headers=headers, json=body, params=query).prepare()


def payload_of(raw: Raw) -> Any:
    """Return the ``data`` of a successful read; raises ``BrokerReadError`` for anything else."""
    if isinstance(raw, NoReply):
        raise raw.read_error()
    body = raw.mapping()
    if body is None:
        raise malformed(f"HTTP {raw.status} without a JSON object")
    if raw.is_ok:
        return body.get("data")
    fault = _FAULTS.get(raw.status, ReadFault.REFUSED)
    raise BrokerReadError(fault, str(body.get("error"))[:200])


def write_outcome(raw: Raw) -> WriteOutcome:
    """Classify the end of a write: only a parsed refusal proves that nothing happened."""
    if isinstance(raw, NoReply):
        return Ambiguous(raw.reason) if raw.may_have_left else NotSent(raw.reason)
    body = raw.mapping() or {}
    data = body.get("data")
    if raw.is_ok and isinstance(data, str) and data:
        return Acked(data)
    error, kind = body.get("error"), _REFUSALS.get(raw.status)
    if kind is None or not isinstance(error, str):
        return Ambiguous(f"HTTP {raw.status}")
    return Refused(kind, error[:200])
