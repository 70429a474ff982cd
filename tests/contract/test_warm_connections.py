"""A connection that is opened ahead of an order: through both brokers' clients, over sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.adapters import broker_connections
from core.domain.outcome import Acked, Ambiguous
from core.ports.broker import BrokerClient
from tests.fakes.brokers import BROKER_CASES, BrokerCase, market_order
from tests.faults.raw_http import (
    Behaviour,
    RawServer,
    answer,
    close_unanswered,
    hang,
    json_answer,
    reset_after,
    serving,
)

HTML = answer(502, b"<html>Bad gateway</html>", "text/html")


@pytest.fixture(params=BROKER_CASES, ids=lambda case: case.profile.name)
def case(request: pytest.FixtureRequest) -> BrokerCase:
    """Both brokers in turn."""
    chosen: BrokerCase = request.param
    return chosen


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection lives as long as a test on the slowest machine."""
    monkeypatch.setattr(broker_connections, "_KEPT_S", 600.0)
    monkeypatch.setattr(broker_connections, "_ALWAYS_SAFE_S", 600.0)


@asynccontextmanager
async def connected(
    case: BrokerCase, behaviour: Behaviour
) -> AsyncIterator[tuple[RawServer, BrokerClient]]:
    async with serving(behaviour) as server:
        client = case.client(server.url, deadline_s=30.0)
        try:
            yield server, client
        finally:
            await client.aclose()


async def test_order_goes_out_on_the_connection_that_was_opened_ahead(case: BrokerCase) -> None:
    """One read opens it, however often it is asked for; the order needs no handshake of its own."""
    async with connected(case, json_answer(200, case.orders)) as (server, client):
        await client.warm()
        await client.warm()
        server.script = [json_answer(200, case.placed)]
        assert await client.place(market_order()) == Acked("1001")
        assert [request.method for request in server.received] == ["GET", "POST"]
        assert len(server.peers) == 1


@pytest.mark.matrix("N12")
@pytest.mark.invariant("I1")
async def test_order_on_a_connection_opened_ahead_is_ambiguous_when_it_breaks(
    case: BrokerCase,
) -> None:
    """It was written to, so nothing is proved; it is not sent again."""
    async with connected(case, json_answer(200, case.orders)) as (server, client):
        await client.warm()
        server.script = [close_unanswered]
        assert isinstance(await client.place(market_order()), Ambiguous)
        assert len(server.received) == 2


@pytest.mark.parametrize("fault", ["reset", "502", "refused login"])
async def test_connection_that_cannot_be_opened_ahead_is_no_failure(
    case: BrokerCase, fault: str
) -> None:
    """Asking for one never raises, and the order that follows is judged by itself."""
    refused = json_answer(403, {"status": "error", "s": "error", "error_type": "TokenException"})
    behaviour = {"reset": reset_after, "502": HTML, "refused login": refused}[fault]
    async with connected(case, behaviour) as (server, client):
        await client.warm()
        server.always = json_answer(200, case.placed)
        assert await client.place(market_order()) == Acked("1001")


async def test_order_does_not_wait_for_a_connection_that_hangs(case: BrokerCase) -> None:
    """While the read that was to open one hangs, the order opens its own."""
    async with connected(case, json_answer(200, case.placed)) as (server, client):
        server.script = [hang]
        warming = asyncio.create_task(client.warm())
        while not server.received:
            await asyncio.sleep(0.005)
        assert await client.place(market_order()) == Acked("1001")
        assert not warming.done()
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
