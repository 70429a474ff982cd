"""What a strategy's process writes can be kept and shown: a bad word of it stops no run (row D1)."""

from __future__ import annotations

import json
from typing import Any

import bson
import pytest

from core.adapters.strategies.messages import targets_in
from core.domain.target import Target

pytestmark = pytest.mark.row("D1")

TARGET = {
    "instrument": "NSE:SBIN",
    "direction": 1,
    "signal_at": "2026-11-23T09:31:00+05:30",
    "stop_price": "100",
    "reason": "above",
    "stop_rule": None,
}


def answered(**changes: Any) -> bytes:
    return json.dumps({"targets": [TARGET | changes]}).encode()


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("a\ud800b", "ab"),
        ("a\u202eb\x00\x1b[2J", "ab[2J"),
        ("a\nb", "a b"),
        (7, "7"),
        ("x" * 10_000, None),
    ],
)
def test_reason_is_one_plain_line(reason: object, kept: str | None) -> None:
    """It stands in the run's commit and in the chat; half a character would fail the commit."""
    found = targets_in(answered(reason=reason))
    assert not isinstance(found, str)
    (target,) = found
    assert isinstance(target, Target)
    assert target.reason == kept if kept else len(target.reason) < 1000
    bson.encode({"reason": target.reason})


def test_failure_is_one_plain_line() -> None:
    """The same for what a strategy raised."""
    found = targets_in(json.dumps({"failure": "Error: \ud800\u202e\nx"}).encode())
    assert found == "Error: x"


@pytest.mark.parametrize(
    "answer",
    [
        answered(signal_at="0001-01-01T00:00:00+05:30"),
        answered(signal_at="9999-12-31T23:59:59-05:30"),
        answered(instrument="\ud800"),
        answered(direction="\ud800"),
        answered(stop_price="x" * 5000),
        b"[" * 100_000,
        b"\xff",
        b"{}",
    ],
    ids=range(8),
)
def test_what_is_no_answer_is_said_plainly(answer: bytes) -> None:
    """One error of one kind, whose text can be kept."""
    with pytest.raises(ValueError, match=r"\w") as refused:
        targets_in(answer)
    assert len(str(refused.value)) < 2000
    bson.encode({"text": str(refused.value)})
