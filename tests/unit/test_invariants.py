"""The judge tells what a second reconcile changed from what happened meanwhile (I4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.invariants import Evidence, changed_again


def evidence(*states: str, status: str = "COMPLETE") -> Evidence:
    """Return what is known of one order that went through these states."""
    events = [
        {"_id": f"s#{n}", "client_order_id": "s", "n": n, "old": "", "state": state, "reason": ""}
        for n, state in enumerate(states)
    ]
    row = {"_id": "s", "broker_id": "z", "broker_order_id": "b1"}
    book: dict[str, Any] = {"orders": [{"order_id": "b1", "status": status}]}
    return Evidence({"orders": [row], "order_events": events}, [], {"z": book}, {}, None)


@pytest.mark.parametrize(
    ("again", "is_broken"),
    [
        (evidence("ACCEPTED"), False),
        (evidence("ACCEPTED", "FILLED"), True),
        # The exchange filled it between the two reads.
        (evidence("ACCEPTED", "FILLED", status="OPEN"), False),
        # A worker of ours went on with it.
        (evidence("ACCEPTED", "PENDING_CANCEL", "CANCELED"), False),
    ],
)
def test_only_what_nobody_did_is_the_reconciles_doing(again: Evidence, *, is_broken: bool) -> None:
    """A reconcile sends nothing, and what the broker has changed since is news."""
    assert bool(changed_again(evidence("ACCEPTED"), again)) is is_broken
