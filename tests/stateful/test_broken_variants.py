"""The campaign finds what it is there for: ten deliberately broken products, each caught.

Each variant changes one function of the product, is lived through one scenario in memory, and the
umpire must object; the same scenario passes unchanged (a test of the tests, reliability.md 4.6).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from core.adapters.single_writer import SingleWriterStore
from core.adapters.single_writer.body import BodyView
from core.domain import stops
from core.domain.exits import held_quantity
from core.domain.ledger import shrunk
from core.domain.mode import TradingMode
from core.domain.order import OrderState, Side
from core.domain.outcome import Ambiguous
from core.engine.orders import gateway, risk
from core.engine.orders.folding import OrderEvent
from core.engine.orders.gateway import Gateway
from core.engine.orders.ledgers import ledgers_of, put_ledger
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.steps import Steps
from core.engine.outbox import Outbox
from tests.campaign.enumerator import played
from tests.campaign.world import World
from tests.faults.watch import Rule

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Variant:
    """One broken product and where it shows.

    Attributes:
        scenario: What is lived through.
        breaks: Changes the product.
        rule: Where the process ends meanwhile.
        arm: What goes wrong meanwhile.
    """

    scenario: str
    breaks: Callable[[Patch], None]
    rule: Rule | None = None
    arm: Callable[[World], None] = lambda _world: None


def meets(action: str, *kinds: str) -> Callable[[World], None]:
    """Let the next writes of the account meet these."""

    def arm(world: World) -> None:
        for kind in kinds:
            world.client(world.accounts[0]).troubles.write(action, kind)

    return arm


def reads(endpoint: str, kind: str, seconds: float) -> Callable[[World], None]:
    """Let an endpoint of the account misbehave."""
    return lambda world: world.client(world.accounts[0]).troubles.read(endpoint, kind, seconds)


# Six of reliability.md 4.6


def commit_after_send(patch: Patch) -> None:
    """The row is written when the answer is there."""

    async def submit(self: Any, client: Any, ticket: Any) -> Any:
        outcome = await client.place(ticket.order.request)
        submitted = await self._commit(ticket)
        return await self._record(submitted, outcome), outcome

    patch.setattr(Gateway, "submit", submit)


def timeout_is_failure(patch: Patch) -> None:
    """No answer means not placed."""
    original = gateway.event_of

    def event_of(outcome: Any) -> Any:
        if isinstance(outcome, Ambiguous):
            return OrderEvent(OrderState.REJECTED, reason=outcome.reason)
        return original(outcome)

    patch.setattr(gateway, "event_of", event_of)


def post_is_retried(patch: Patch) -> None:
    """What was not answered is sent again."""

    async def send(self: Any, client: Any, submitted: Any) -> Any:
        outcome = await client.place(submitted.request)
        if isinstance(outcome, Ambiguous):
            outcome = await client.place(submitted.request)
        return await self._record(submitted, outcome), outcome

    patch.setattr(Gateway, "send", send)


def nothing_is_unique(patch: Patch) -> None:
    """No unique index refuses what was done before."""
    numbers, original = count(), SingleWriterStore.transaction

    async def transaction(self: Any, body: Any, *, nonce: str) -> Any:
        return await original(self, body, nonce=f"{nonce}|{next(numbers)}")

    patch.setattr(SingleWriterStore, "transaction", transaction)


def outbox_in_memory(patch: Patch) -> None:
    """Notices wait in the process and are written some time later."""
    original, run = Outbox.post, SingleWriterStore._run
    writers: list[Any] = []

    async def noted(self: Any, body: Any, nonce: Any) -> Any:
        writers.append(self)
        return await run(self, body, nonce)

    async def later(self: Any, post: Any) -> None:
        await asyncio.sleep(2.0)
        await original(self, writers[-1], post)

    async def keeps(self: Any, view: Any, post: Any) -> None:
        if isinstance(view, BodyView):
            asyncio.get_running_loop().create_task(later(self, post))
        else:
            await original(self, view, post)

    patch.setattr(SingleWriterStore, "_run", noted)
    patch.setattr(Outbox, "post", keeps)


def exit_only_reduces(patch: Patch) -> None:
    """EXIT_ONLY lets through whatever is against the position, as REDUCING does elsewhere."""

    def trading_mode(facts: Any) -> Any:
        is_against = facts.side is Side.SELL
        is_exit_only = facts.gate is not None and facts.gate.mode is TradingMode.EXIT_ONLY
        return None if is_exit_only and is_against else risk.trading_mode(facts)

    checks = tuple(trading_mode if c is risk.trading_mode else c for c in risk.CHECKS)
    patch.setattr(risk, "CHECKS", checks)
    patch.setattr("core.domain.converge._overdue_entry", lambda *_a, **_n: None)


# Four of this program's own past


def positions_alone(patch: Patch) -> None:
    """The positions are believed, whatever the fills say."""

    async def judged(self: Any, broker_id: str, snapshot: Any, day: str) -> None:
        for ledger in await ledgers_of(self._store, broker_id):
            net = held_quantity(ledger.instrument, ledger.product, snapshot.positions, ())
            for changed in shrunk([ledger], net):
                await put_ledger(self._store, changed)

    patch.setattr(NetPositions, "positions_read", judged)


def stop_goes_before_the_gate(patch: Patch) -> None:
    """A stop is cancelled whether or not the exit behind it may go, and nothing puts it back."""

    async def cleared(*_arguments: Any) -> None:
        return None

    patch.setattr(Steps, "_clear", cleared)
    patch.setattr("core.engine.orders.executor.restored_stop", lambda *_a: None)
    patch.setattr(Steps, "notify_denied", cleared_named)


async def cleared_named(*_arguments: Any, **_named: Any) -> None:
    return None


def triggered_stop_is_waited_for(patch: Patch) -> None:
    """A stop that has triggered and rests counts as protection."""
    patch.setattr(stops, "_triggered", lambda *_a, **_n: None)


def foreign_fills_are_ignored(patch: Patch) -> None:
    """What a person sells beside changes no ledger and no bound."""

    async def ignores(*_arguments: Any) -> bool:
        return False

    async def nothing(*_arguments: Any) -> None:
        return None

    patch.setattr(NetPositions, "_take_foreign_fills", ignores)
    patch.setattr(NetPositions, "positions_read", nothing)


def exit_only(world: World) -> None:
    """Set EXIT_ONLY before the scenario goes on."""
    setting = world.set_mode(TradingMode.EXIT_ONLY, world.accounts[0])
    world.loop.create_task(setting, name="w:mode")


def wishes_that_come_again(world: World) -> None:
    """Set EXIT_ONLY, then NORMAL, and let old wishes arrive again."""

    async def person() -> None:
        await world.set_mode(TradingMode.EXIT_ONLY, None)
        await world.set_mode(TradingMode.NORMAL, None)
        await world.redeliver(0)

    world.loop.create_task(person(), name="w:person")


def blind_in_exit_only(world: World) -> None:
    """Set EXIT_ONLY, and let the positions contradict the fills."""
    exit_only(world)
    reads("positions", "empty", 100)(world)


VARIANTS = {
    "commit after send": Variant("entry", commit_after_send, Rule("place", "after")),
    "timeout is failure": Variant("exit", timeout_is_failure, arm=meets("place", "late")),
    "POST is retried": Variant("entry", post_is_retried, arm=meets("place", "lost answer")),
    "nothing is unique": Variant("close", nothing_is_unique, arm=wishes_that_come_again),
    "outbox in memory": Variant(
        "entry",
        outbox_in_memory,
        Rule("commit", "after", what="order:"),
        meets("place", "lost answer"),
    ),
    "EXIT_ONLY reduces": Variant("reversal", exit_only_reduces, arm=exit_only),
    "positions alone": Variant("hold", positions_alone, arm=reads("positions", "empty", 40)),
    "stop before the gate": Variant("exit", stop_goes_before_the_gate, arm=blind_in_exit_only),
    "triggered stop is waited for": Variant(
        # Without quotes: a watch of prices would find it as well.
        "resting stop",
        triggered_stop_is_waited_for,
        arm=reads("quotes", "fails", 300),
    ),
    "foreign fills are ignored": Variant("hand sale", foreign_fills_are_ignored),
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the logs of the faults to themselves."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_caught(name: str, monkeypatch: Patch) -> None:
    """The scenario passes with the product as it is, and not with this one broken."""
    variant = VARIANTS[name]
    whole = played(variant.scenario, variant.rule, variant.arm)
    assert not whole.faults, "\n".join([*whole.story, *whole.faults])
    variant.breaks(monkeypatch)
    broken = played(variant.scenario, variant.rule, variant.arm)
    assert broken.faults
