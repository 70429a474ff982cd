"""``make panic-table``: how long a panic takes on twenty accounts, beside the bare time of its calls.

Ten accounts at each simulated broker hold a position with a stop; one hangs, one is logged out, one
is throttled, one stands at its circuit limit. For each of the others the table gives the seconds
from the confirmation until its exit is known to have filled, and what the same calls take without
the engine in the same run: cancel the stop, send the exit, read until it has filled, on sixteen
accounts at once. First over the embedded server of the store, which bounds it, then over a store in
memory, which shows the engine alone.
"""

from __future__ import annotations

import asyncio
import html
import logging
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from statistics import median

from bot.views.panic import panic_card
from core.adapters.clock import clock_from_setting
from core.adapters.mongo.server import launch
from core.domain.broker import BrokerStatus
from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked
from core.ports.broker import BrokerClient, Credentials
from tests.fakes.sandbox_process import Sandbox
from tests.faults.beset import Beset, panic_of
from tests.faults.life import (
    FYERS,
    KITE,
    THIRD,
    Life,
    Simulated,
    World,
    another,
    answer_of,
    brokers_of,
    living,
    until,
)
from tests.faults.pulse import SBIN

_EACH = 10
_ROUNDS = 3
_SERIAL = count(1)
_TAGS = re.compile(r"<[^>]+>")


async def main() -> None:
    """Measure, and print a table for each store: the embedded server, and none but memory."""
    with tempfile.TemporaryDirectory(prefix="saarthi-panic-") as made:
        running = await launch(Path(made), uri=None, mongod=None, lookup_path=False)
        try:
            for uri, name in ((running.server.uri, running.server.kind), (None, "in memory")):
                sandbox = Sandbox()
                world = World(sandbox, uri, "panic", Path(made), order_deadline_s=4.0)
                sys.stdout.write(f"\nStore: {name}\n\n")
                try:
                    await measure(world)
                finally:
                    sandbox.end()
        finally:
            await running.stop()


async def measure(world: World) -> None:
    """Measure the bare calls, then the panic."""
    kite = [KITE, THIRD, *(another(world, "kite", n) for n in range(1, _EACH - 1))]
    fyers = [FYERS, *(another(world, "fyers", n) for n in range(21, 20 + _EACH))]
    beset = Beset(hung=kite[-1], expired=fyers[-1], limited=fyers[-2], circuit=kite[-2])
    four = list(vars(beset).values())
    others = [who for who in (*kite, *fyers) if who not in four]
    bare = await bare_times(world, others)
    async with living(world) as life:
        for who in (*kite, *fyers):
            await life.connect(who)
        beset.hold_far(world)
        await life.enter(stop_percent="5")
        await until(lambda: stops_rest(life), within_s=60)
        await life.settled()
        await life.refresh()
        beset.strike(world)
        confirmed = life.foundation.clock.now()
        await life.system.control.panic.start(
            life.command(), list(world.accounts), with_holdings=False
        )
        await beset.are_named(life)
        await show(life, others, confirmed, bare)


async def stops_rest(life: Life) -> bool:
    """Whether a stop rests for every account."""
    stops = await life.rows(purpose="stop", state="ACCEPTED")
    return len(stops) == len(life.world.accounts)


async def show(
    life: Life, others: Sequence[Simulated], confirmed: datetime, bare: dict[str, float]
) -> None:
    """Print a line for each account, the summary, and what the chat says of the four."""
    panic = await panic_of(life)
    said = {line.broker_id: line.flat_after_s for line in panic.lines}
    ids = {who.api_key: key for key, who in life.world.accounts.items()}
    out, ratios = sys.stdout, []
    out.write("| account | flat after, s | bare calls, s | ratio | said flat after, s |\n")
    out.write("|---|---|---|---|---|\n")
    for number, who in enumerate(others, 1):
        rows = await life.rows(broker_id=ids[who.api_key], purpose="exit", state="FILLED")
        flat = max((row["settled_at"] - confirmed).total_seconds() for row in rows)
        ratios.append(flat / bare[who.api_key])
        line = f"{flat:.2f} | {bare[who.api_key]:.2f} | {ratios[-1]:.1f} | {said[ids[who.api_key]]}"
        out.write(f"| {number}, {who.broker.label} | {line} |\n")
    out.write(f"\nMedian ratio {median(ratios):.1f}, largest {max(ratios):.1f}. The message:\n\n")
    screen = panic_card(await life.system.control.panic.view(panic.panic_id))
    out.write(html.unescape(_TAGS.sub("", screen.text)) + "\n")


# The peer: the same calls, without the engine


async def bare_times(world: World, accounts: Sequence[Simulated]) -> dict[str, float]:
    """Return the median time of the bare calls of each account; all accounts at once."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(bare_client(world, who)) for who in accounts]
        rounds = [await asyncio.gather(*map(bare_round, clients)) for _ in range(_ROUNDS)]
    return {who.api_key: median(one[n] for one in rounds) for n, who in enumerate(accounts)}


async def bare_round(client: BrokerClient) -> float:
    """Buy with a stop, wait for both, and return the time of cancel, exit and reads until flat."""
    bought = await sent(client, Side.BUY, OrderType.MARKET)
    price = await filled(client, bought)
    stop = await sent(
        client, Side.SELL, OrderType.SL_M, (price * Decimal("0.95")).quantize(Decimal(1))
    )
    await asyncio.sleep(1.5)  # the window of the order rate is empty, as it is before a panic
    begun = time.monotonic()
    cancelled = await client.cancel(stop)
    assert isinstance(cancelled, Acked), cancelled
    await filled(client, await sent(client, Side.SELL, OrderType.MARKET))
    return time.monotonic() - begun


async def sent(
    client: BrokerClient, side: Side, kind: OrderType, trigger: Decimal | None = None
) -> str:
    """Send an order for one SBIN and return the broker's id of it."""
    order = OrderRequest(
        f"bare{next(_SERIAL):016d}", SBIN, side, 1, kind, Product.MIS, trigger_price=trigger
    )
    outcome = await client.place(order)
    assert isinstance(outcome, Acked), outcome
    return outcome.broker_order_id


async def filled(client: BrokerClient, broker_order_id: str) -> Decimal:
    """Read the orders until this one has filled, and return its price."""
    while True:
        for order in await client.orders():
            is_it = order.broker_order_id == broker_order_id
            if is_it and order.status is BrokerStatus.COMPLETE:
                return order.average_price


@asynccontextmanager
async def bare_client(world: World, who: Simulated) -> AsyncIterator[BrokerClient]:
    """Log an account in, and yield a client of it."""
    settings = world.settings()
    broker = brokers_of(settings, clock_from_setting(settings.clock))[who.broker]
    credentials = Credentials("bare_0000000000", who.api_key, who.api_secret)
    redirect_url = f"http://127.0.0.1:8443{who.broker.callback_path}"
    address = broker.login.login_url(credentials, nonce="BARE", redirect_url=redirect_url)
    query = await answer_of(address, who)
    code = broker.profile.callback.code_in(query)
    grant = await broker.login.exchange(credentials, code, redirect_url=redirect_url)
    master = {row.id: row for row in await broker.instruments.load()}
    client = broker.connect(replace(credentials, access_token=grant.access_token), master)
    try:
        yield client
    finally:
        await client.aclose()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(main())
