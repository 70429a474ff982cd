"""An order leaves behind its own commit and behind no other: one submission, one order (I1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from core.domain.mode import TradingMode
from core.domain.order import EXTERNAL, Order, OrderRequest, OrderState, Purpose, Side
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.domain.sessions import trading_day
from core.domain.target import Direction
from core.engine.orders.gate import raise_fence
from core.engine.orders.gateway import Held, SnapshotStale, Ticket
from core.engine.orders.journal import OrderEvent
from core.errors import Denied, LeaseLost, NotFound, SaarthiError, StoreUnavailable
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.orders import order_in
from tests.fakes.run_bench import RunBench

pytestmark = pytest.mark.invariant("I1")

S = OrderState
EXIT = "SEXITAAAAAAAAAAAAAAA"
MOMENTS = 28
"""So many turns of the loop a submission takes, and some more."""


class Scene:
    """An account, and an order that is about to be submitted on it."""

    def __init__(self, bench: RunBench, ticket: Ticket) -> None:
        self.bench = bench
        self.ticket = ticket
        self.key = ticket.order.client_order_id

    async def submit(self, ticket: Ticket | None = None) -> tuple[Order, WriteOutcome | None]:
        return await self.bench.engine.wiring.gateway.submit(
            self.bench.broker, ticket or self.ticket
        )

    @property
    def sent(self) -> list[str]:
        """What the broker was sent, by client order id."""
        return [one.client_order_id for one in self.bench.broker.placed]

    @property
    def on_its_way(self) -> bool:
        return self.key in self.bench.engine.wiring.gateway.in_flight

    async def stands(self) -> Order | None:
        """Return the order as the journal has it."""
        with suppress(NotFound):
            return await self.bench.engine.wiring.journal.get(self.key)
        return None


async def a_scene(purpose: Purpose, *, is_only_writer: bool = False) -> Scene:
    """Return an entry of ten as its run has left it, or the exit of ten that are held."""
    bench = await RunBench().opened()
    if is_only_writer:
        await bench.engine.become_writer()
    bench.strategy.want(Direction.LONG)
    await bench.run()
    (entry,) = await bench.engine.orders()
    if purpose is Purpose.ENTRY:
        return Scene(bench, Ticket(entry))
    await bench.turns()
    assert await bench.held() == 10
    bench.broker.placed.clear()
    clock = bench.engine.clock
    order = order_in(
        S.SUBMITTED,
        client_order_id=EXIT,
        side=Side.SELL,
        quantity=10,
        purpose=Purpose.EXIT,
        broker_id=bench.account.broker_id,
        strategy=bench.strategy.name,
        day=trading_day(clock.market_now()),
        created_at=clock.now(),
        submitted_at=None,
    )
    return Scene(bench, Ticket(order))


@pytest.fixture(params=[Purpose.ENTRY, Purpose.EXIT])
async def scene(request: pytest.FixtureRequest) -> Scene:
    """An entry that has its row, and an exit that has none."""
    return await a_scene(request.param)


@pytest.mark.matrix("O01")
@pytest.mark.parametrize("purpose", [Purpose.ENTRY, Purpose.EXIT])
@pytest.mark.parametrize("is_only_writer", [False, True])
async def test_of_five_at_once_one_is_sent(purpose: Purpose, *, is_only_writer: bool) -> None:
    """And no sixth later: the others hear what the journal says, and nothing is sent for them."""
    scene = await a_scene(purpose, is_only_writer=is_only_writer)
    ends = await asyncio.gather(*(scene.submit() for _ in range(5)))
    ends.append(await scene.submit())
    assert scene.sent == [scene.key]
    assert [isinstance(outcome, Acked) for _, outcome in ends].count(True) == 1
    assert [outcome for _, outcome in ends].count(None) == 5
    assert {order.client_order_id for order, _ in ends} == {scene.key}
    assert not scene.on_its_way


async def test_what_another_controller_has_submitted_is_not_sent(scene: Scene) -> None:
    """Its commit is another's, so the send is another's too, whatever became of it."""
    engine = scene.bench.engine
    other = MemoryEngine(engine.clock, store=engine.store, brokers=engine.brokers, key=engine.key)
    await engine.clock.advance(1)
    await other.wiring.gateway.submit(scene.bench.broker, scene.ticket)
    await engine.clock.advance(1)
    order, outcome = await scene.submit()
    assert (outcome, scene.sent) == (None, [scene.key])
    assert order == await scene.stands()
    assert not scene.on_its_way


async def test_what_is_no_longer_as_it_was_read_is_not_sent() -> None:
    """The entry was given up between the look at it and its submission."""
    scene = await a_scene(Purpose.ENTRY)
    await scene.bench.engine.wiring.journal.apply(
        scene.key, OrderEvent(S.DENIED, reason="no longer wanted")
    )
    order, outcome = await scene.submit()
    assert (order.state, outcome, scene.sent) == (S.DENIED, None, [])


@pytest.mark.matrix("D04")
async def test_an_exit_that_the_broker_has_already_is_not_sent() -> None:
    """Its row is there, adopted after a restore: its id is taken, though nothing here has sent it."""
    scene = await a_scene(Purpose.EXIT)
    journal = scene.bench.engine.wiring.journal
    order = replace(scene.ticket.order, strategy=EXTERNAL, purpose=Purpose.EXTERNAL)
    await journal.add(
        scene.bench.engine.store, [replace(order, state=S.FILLED, filled_quantity=10)]
    )
    stands, outcome = await scene.submit()
    assert (stands.strategy, outcome, scene.sent) == (EXTERNAL, None, [])
    assert not scene.on_its_way


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Acked("1"), S.ACCEPTED),
        (Refused(Refusal.REJECTED, "no margin"), S.REJECTED),
        (Refused(Refusal.THROTTLED, "slow down", retry_after_s=0.0), S.HELD),
        (Refused(Refusal.AUTH_REQUIRED, "log in"), S.HELD),
        (NotSent("no connection"), S.HELD),
        (Ambiguous("no answer in time"), S.UNRESOLVED),
    ],
)
async def test_whatever_the_broker_says_it_is_asked_once(
    scene: Scene, answer: WriteOutcome, state: OrderState
) -> None:
    """The answer is written down and nothing is retried here.

    What is held has provably not arrived and may go again; whatever else is handed over again may
    be at the broker, and is not sent.
    """
    scene.bench.broker.answers = [answer]
    order, outcome = await scene.submit()
    assert (order.state, outcome, scene.sent) == (state, answer, [scene.key])
    assert await scene.stands() == order
    assert not scene.on_its_way
    again, outcome = await scene.submit(replace(scene.ticket, order=order))
    is_held = state is S.HELD
    assert (outcome is not None, len(scene.sent)) == (is_held, 2 if is_held else 1)
    assert is_held or again == order


@pytest.mark.matrix("D02")
@pytest.mark.parametrize("is_only_writer", [False, True])
@pytest.mark.parametrize("purpose", [Purpose.ENTRY, Purpose.EXIT])
async def test_what_is_not_known_to_be_committed_is_not_sent(
    purpose: Purpose, *, is_only_writer: bool
) -> None:
    """The store took the commit and its answer is lost: it is looked up, and never sent again."""
    scene = await a_scene(purpose, is_only_writer=is_only_writer)
    scene.bench.engine.store.database.lost_answers = 1
    with pytest.raises(StoreUnavailable):
        await scene.submit()
    assert (scene.sent, scene.on_its_way) == ([], False)
    order, outcome = await scene.submit()
    assert (order.state, outcome, scene.sent) == (S.SUBMITTED, None, [])


@pytest.mark.invariant("I3")
@pytest.mark.matrix("D01")
async def test_what_could_not_be_committed_is_not_sent(scene: Scene) -> None:
    """While the store is away nothing leaves; when it is back the same order goes, once."""
    database = scene.bench.engine.store.database
    before = await scene.stands()
    database.is_away = True
    with pytest.raises(StoreUnavailable):
        await scene.submit()
    database.is_away = False
    assert (scene.sent, scene.on_its_way) == ([], False)
    assert await scene.stands() == before
    await scene.submit()
    assert scene.sent == [scene.key]


async def pauses(scene: Scene) -> Ticket:
    """Set PAUSED before the gate."""
    control, broker_id = scene.bench.engine.control, scene.bench.account.broker_id
    await control.modes.set(scene.bench.engine.command(), TradingMode.PAUSED, broker_id)
    return scene.ticket


async def loses_the_lease(scene: Scene) -> Ticket:
    """Let another controller take over."""
    await raise_fence(scene.bench.engine.writer, 99)
    return scene.ticket


async def is_stale(scene: Scene) -> Ticket:
    """Let the orders have moved since the positions were read."""
    return replace(scene.ticket, held=Held(10, frozenset({("another", "FILLED", 1)})))


@pytest.mark.parametrize(
    ("purpose", "meanwhile", "refusal"),
    [
        (Purpose.ENTRY, pauses, Denied),
        (Purpose.EXIT, pauses, Denied),
        (Purpose.ENTRY, loses_the_lease, LeaseLost),
        (Purpose.EXIT, loses_the_lease, LeaseLost),
        (Purpose.EXIT, is_stale, SnapshotStale),
    ],
)
@pytest.mark.parametrize("is_only_writer", [False, True])
async def test_what_the_gate_turns_away_is_neither_sent_nor_written(
    purpose: Purpose,
    meanwhile: Callable[[Scene], Awaitable[Ticket]],
    refusal: type[SaarthiError],
    *,
    is_only_writer: bool,
) -> None:
    """The caller hears why, and the journal has the order as it was."""
    scene = await a_scene(purpose, is_only_writer=is_only_writer)
    before = await scene.stands()
    ticket = await meanwhile(scene)
    with pytest.raises(refusal):
        await scene.submit(ticket)
    assert (scene.sent, scene.on_its_way) == ([], False)
    assert await scene.stands() == before


@pytest.mark.invariant("I3")
@pytest.mark.matrix("C15")
@pytest.mark.parametrize("is_only_writer", [False, True])
async def test_a_submission_that_is_cancelled_sends_nothing_that_is_not_committed(
    *, is_only_writer: bool
) -> None:
    """At whatever moment: what the broker got stood as SUBMITTED before, and nothing goes later."""
    for moment in range(MOMENTS):
        scene = await a_scene(Purpose.ENTRY, is_only_writer=is_only_writer)
        states: list[str] = []
        place, database = scene.bench.broker.place, scene.bench.engine.store.database

        async def seen(order: OrderRequest) -> WriteOutcome:
            states.append(database.committed["orders"][order.client_order_id]["state"])  # noqa: B023
            return await place(order)  # noqa: B023

        scene.bench.broker.place = seen  # type: ignore[method-assign]
        task = asyncio.create_task(scene.submit())
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert not scene.on_its_way
        assert states in ([], ["SUBMITTED"])
        await asyncio.gather(scene.submit(), return_exceptions=True)
        assert len(scene.sent) <= 1


async def test_what_is_on_its_way_stays_so_for_all_who_ask_meanwhile(scene: Scene) -> None:
    """Taken for one whose answer was lost, it would be told as unresolved (I2)."""
    answers, place = asyncio.Event(), scene.bench.broker.place

    async def slow(order: OrderRequest) -> WriteOutcome:
        await answers.wait()
        return await place(order)

    scene.bench.broker.place = slow  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group, asyncio.timeout(150):
        first = group.create_task(scene.submit())
        while (await scene.stands() or scene.ticket.order).submitted_at is None:
            await asyncio.sleep(0)
        order, outcome = await scene.submit()
        assert (order.state, outcome) == (S.SUBMITTED, None)
        assert scene.on_its_way
        answers.set()
    assert isinstance(first.result()[1], Acked)
    assert not scene.on_its_way
