"""The campaign finds products whose limits, guards and panics are broken: four, each caught.

As in tests/stateful/test_broken_variants.py: each changes one function of the product, is lived
through one scenario in memory, and the umpire must object; the same passes with the product whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from core.domain.instrument import Product
from core.domain.limits import LimitKind
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.panic import Line
from core.domain.result_guard import Guard, GuardScope, ScopeKind
from core.engine.orders import gateway
from core.engine.orders.entries import Entries
from core.engine.orders.limit_use import bounds_of
from core.engine.safeguards import guard_firing
from core.engine.safeguards.panic import Panics
from tests.campaign.enumerator import played
from tests.campaign.world import SBIN, World
from tests.faults.watch import Rule

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Variant:
    """One broken product and where it shows.

    Attributes:
        figure: What the umpire objects to.
        scenario: What is lived through.
        breaks: Changes the product.
        rule: Where the process ends, or ``arm`` acts.
        arm: What goes on meanwhile.
    """

    figure: str
    scenario: str
    breaks: Callable[[Patch], None]
    rule: Rule
    arm: Callable[[World], None] = lambda _world: None


def asked_in_planning_alone(patch: Patch) -> None:
    """What a run has planned goes out, whatever the limits say by then."""

    async def bounds(*arguments: Any, **named: Any) -> Any:
        return replace(await bounds_of(*arguments, **named), loads=())

    patch.setattr(gateway, "bounds_of", bounds)


def fires_before_it_is_stored(patch: Patch) -> None:
    """The positions go, and what the guard remembers of it is written some seconds later."""

    async def nothing(*_arguments: Any, **_named: Any) -> bool:
        return True

    patch.setattr(guard_firing, "put_day", nothing)
    patch.setattr(guard_firing, "shut_day", nothing)


def shut_is_not_read_in_the_gate(patch: Patch) -> None:
    """What was planned goes out though the day was shut since, and its goal is flat by then."""

    async def open_(*_arguments: Any) -> str:
        return ""

    async def wanted(*_arguments: Any) -> bool:
        return True

    patch.setattr(gateway, "why_shut", open_)
    patch.setattr(Entries, "_is_wanted", wanted)


def panic_forgets(patch: Patch) -> None:
    """An account on which the panic had begun counts as done by the next controller."""
    original = Panics._keep

    def keep(self: Any, run: Any, line: Line, *, is_more: bool) -> None:
        is_new = line.broker_id not in run.pursuits
        original(self, run, line, is_more=is_more)
        if is_new and (line.orders or line.positions):
            run.tasks[line.broker_id].cancel()
            run.pursuits[line.broker_id]._line = Line(line.broker_id, is_flat=True)

    patch.setattr(Panics, "_keep", keep)


def limit_at_the_last_moment(world: World) -> None:
    """A user sets a limit while a planned entry is about to go through the gate."""
    life, broker_id = world.life, world.accounts[0]
    assert life is not None

    async def set_limit() -> None:
        await life.system.control.limits.set(
            world.command(), broker_id, LimitKind.ORDER_VALUE, "1000"
        )

    life.watch.act = set_limit


def guard_at_the_last_moment(world: World) -> None:
    """A guard fires while the first slice is on its way, by the charges of what a person holds."""
    life, broker_id = world.life, world.accounts[0]
    assert life is not None
    hand = OrderRequest("", SBIN, Side.BUY, 5, OrderType.MARKET, Product.MIS)
    world.venue(broker_id).by_hand(hand)

    async def fire() -> None:
        scope = GuardScope(ScopeKind.ACCOUNT, broker_id)
        await life.system.control.guards.set(world.command(), scope, Guard(Decimal(1)), 0)
        while not world.rows("shut_days"):
            await asyncio.sleep(0.5)

    life.watch.act = fire


VARIANTS = {
    "limits in planning alone": Variant(
        "limits passed",
        "sliced entry",  # a plain one leaves with its plan
        asked_in_planning_alone,
        Rule("commit", "before", what="submit:"),
        limit_at_the_last_moment,
    ),
    "guard fires before it is stored": Variant(
        "guards fired twice or not closed",
        "guard",
        fires_before_it_is_stored,
        Rule("commit", "after", what="guard-fires:"),
    ),
    "shut day is not read in the gate": Variant(
        "guards fired twice or not closed",
        "sliced entry",
        shut_is_not_read_in_the_gate,
        Rule("place", "before"),
        guard_at_the_last_moment,
    ),
    "panic forgets an account": Variant(
        "panics not finished",
        "panic",
        panic_forgets,
        Rule("commit", "after", 2, "panic-lines:"),
    ),
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the logs of the faults to themselves."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.row("R1", "R2", "R5")
@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_caught(name: str, monkeypatch: Patch) -> None:
    """The scenario passes with the product as it is, and not with this one broken."""
    variant = VARIANTS[name]
    whole = played(variant.scenario, variant.rule, variant.arm)
    assert not whole.faults, "\n".join([*whole.story, *whole.faults])
    variant.breaks(monkeypatch)
    broken = played(variant.scenario, variant.rule, variant.arm)
    assert broken.figures[variant.figure], broken.faults
