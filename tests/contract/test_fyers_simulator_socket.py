"""The order WebSocket of the simulated Fyers, read with the SDK's own table of names."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import aiohttp
import pytest

from tests.fakes.fyers_sandbox import Account, FyersSandbox, market_order

CLOCK = "2026-11-23T10:00:00"
SUBSCRIBE = {"T": "SUB_ORD", "SLIST": ["orders", "trades", "positions"], "SUB_T": 1}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FyersSandbox]:
    made = FyersSandbox(tmp_path_factory.mktemp("fyers"), "--clock", CLOCK)
    yield made
    made.close()


def headers(account: Account) -> dict[str, str]:
    return {"authorization": f"{account.app_id}:{account.token}"}


def names(mapper: str) -> dict[str, str]:
    """Return the SDK's own translation of one kind of frame."""
    text = files("fyers_apiv3").joinpath("FyersWebsocket", "map.json").read_text()
    found: dict[str, str] = json.loads(text)[mapper]
    return found


async def test_frames_carry_what_the_sdk_translates(sandbox: FyersSandbox):
    """A fill comes as an order, a trade and a position, in names the SDK knows."""
    account = sandbox.login()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{sandbox.url}/trade/v3", headers=headers(account)) as socket,
    ):
        await socket.send_str("ping")
        assert await socket.receive_str(timeout=60) == "pong"
        await socket.send_json(SUBSCRIBE)
        subscribed = await socket.receive_json(timeout=60)
        assert subscribed == {"code": 1605, "message": "Successfully subscribed", "s": "ok"}
        order_id = account.api.place_order(market_order(orderTag="Ws1"))["id"]
        frames: dict[str, Any] = {}
        while len(frames) < 3:
            frame = await socket.receive_json(timeout=60)
            assert frame.pop("s") == "ok"
            frames |= frame
    order = {
        new: frames["orders"][raw]
        for raw, new in names("order_mapper").items()
        if raw in frames["orders"]
    }
    assert (order["id"], order["status"], order["filledQty"]) == (order_id, 2, 10)
    assert order["orderTag"] == "1:Ws1"
    assert set(names("order_mapper")) - set(frames["orders"]) == {"leg_type"}
    assert set(frames["trades"]) >= set(names("trade_mapper"))
    assert frames["trades"]["id"] == order_id
    assert frames["positions"]["net_qty"] == 10
    assert set(frames["positions"]) <= set(names("position_mapper"))


async def test_handshake_needs_a_live_session(sandbox: FyersSandbox):
    """A wrong token is 403 at the handshake."""
    account = sandbox.register()
    account.token = "a.b.c"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"{sandbox.url}/trade/v3", headers=headers(account))
    assert caught.value.status == 403


async def test_other_accounts_hear_nothing(sandbox: FyersSandbox):
    """Frames go to the user whose order it is."""
    account, other = sandbox.login(), sandbox.login()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{sandbox.url}/trade/v3", headers=headers(other)) as socket,
    ):
        await socket.send_json(SUBSCRIBE)
        await socket.receive_json(timeout=60)
        foreign = account.api.place_order(market_order())["id"]
        account.settled(foreign, "COMPLETE")
        own = other.api.place_order(market_order())["id"]
        frame = await socket.receive_json(timeout=60)
    assert frame["orders"]["id"] == own != foreign
