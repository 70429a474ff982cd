"""A paper account beside both brokers' simulators: none of its orders goes anywhere (row F6)."""

from __future__ import annotations

import asyncio
import socket
from decimal import Decimal
from typing import Any

import pytest

from core.adapters.paper import PAPER_PROFILE
from core.domain.account import AccountDraft
from core.domain.order import OrderState
from tests.faults.life import FYERS, KITE, Life, World, living
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)
TRANSPORT = asyncio.selector_events._SelectorSocketTransport  # type: ignore[attr-defined]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every byte that this process gives to a socket, by the loop or by hand."""
    found: list[bytes] = []

    def recorded(owner: Any, name: str) -> None:
        given = getattr(owner, name)

        def write(self: Any, data: Any, *rest: Any) -> Any:
            parts = data if name == "writelines" else [data]
            parts = [bytes(one) for one in parts]
            found.extend(parts)
            return given(self, parts if name == "writelines" else data, *rest)

        monkeypatch.setattr(owner, name, write)

    for name in ("write", "writelines"):
        recorded(TRANSPORT, name)
    for name in ("send", "sendall"):
        recorded(socket.socket, name)
    return found


async def on_paper(life: Life) -> str:
    """Connect a paper account that runs the strategy, as a user does."""
    control = life.system.control
    draft = AccountDraft(PAPER_PROFILE, "Try", "", "", Decimal(500_000))
    account = await control.registration.add(life.command(), draft)
    await control.switch.enable(life.command(), account.broker_id)
    await life.ready(account.broker_id)
    return account.broker_id


@pytest.mark.row("F6", "S2")
async def test_no_paper_order_reaches_a_socket(world: World, sent: list[bytes]) -> None:
    """One decision on three accounts: what was decided is the same, the brokers see their own.

    Whatever leaves the process, whereto ever, names no paper order; the live orders, which do
    leave, show that the recording sees orders.
    """
    async with living(world) as life:
        live = [await life.connect(who) for who in (KITE, FYERS)]
        paper = await on_paper(life)
        await life.run("LONG", stop_percent="1")
        for broker_id in (*live, paper):
            await life.becomes(OrderState.FILLED, broker_id=broker_id, purpose="entry")
            await life.becomes(OrderState.ACCEPTED, broker_id=broker_id, purpose="stop")
        await life.run("FLAT")
        for broker_id in (*live, paper):
            await life.becomes(OrderState.FILLED, broker_id=broker_id, purpose="exit")
            await life.becomes(OrderState.CANCELED, broker_id=broker_id, purpose="stop")
        await assert_invariants(life)
        rows = await life.rows()
    decided = {
        one: [
            (row["purpose"], row["side"], row["quantity"], row["instrument"], row["order_type"])
            for row in sorted(rows, key=lambda row: str(row["purpose"]))
            if row["broker_id"] == one
        ]
        for one in (*live, paper)
    }
    assert len(decided[paper]) == 3
    assert decided[paper] == decided[live[0]] == decided[live[1]]
    everything = b"\n".join(sent)
    for row in rows:
        is_on_paper = row["broker_id"] == paper
        assert (row["_id"].encode() in everything) is not is_on_paper
        assert paper.encode() not in everything
    ours = {row["_id"] for row in rows if row["broker_id"] in live}
    assert {entry["tag"] for entry in world.placed()} == ours
