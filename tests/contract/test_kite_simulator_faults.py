"""Faults and push channels of the Kite simulator, as a client meets them."""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import aiohttp
import pytest
import requests

from tests.fakes.kite_client import (
    API_KEY,
    API_SECRET,
    USER,
    buy,
    filled,
    kite_errors,
    log_in,
    patient,
    resting,
    row,
    truth,
)
from tests.fakes.sandbox_process import Sandbox, eventually

pytest_plugins = ("tests.fakes.kite_fixtures",)

POSTBACK_KEYS = frozenset(
    {
        "user_id",
        "unfilled_quantity",
        "app_id",
        "checksum",
        "placed_by",
        "order_id",
        "exchange_order_id",
        "parent_order_id",
        "status",
        "status_message",
        "status_message_raw",
        "order_timestamp",
        "exchange_update_timestamp",
        "exchange_timestamp",
        "variety",
        "exchange",
        "tradingsymbol",
        "instrument_token",
        "order_type",
        "transaction_type",
        "validity",
        "product",
        "quantity",
        "disclosed_quantity",
        "price",
        "trigger_price",
        "average_price",
        "filled_quantity",
        "pending_quantity",
        "cancelled_quantity",
        "market_protection",
        "meta",
        "tag",
        "guid",
    }
)


@pytest.mark.parametrize(
    ("fault", "raised", "applied"),
    [
        ({"kind": "reset_before"}, requests.ConnectionError, False),
        ({"kind": "reset_after"}, requests.ConnectionError, True),
        ({"kind": "hang"}, requests.ReadTimeout, False),
        ({"kind": "hang", "effect": True}, requests.ReadTimeout, True),
        ({"kind": "delay", "delay_s": 2.5}, requests.ReadTimeout, True),
        ({"kind": "html"}, kite_errors.DataException, False),
        ({"kind": "malformed"}, kite_errors.DataException, True),
        (
            {"kind": "http", "status": 503, "body": {"status": "error", "message": "x"}},
            KeyError,
            False,
        ),
        (
            {
                "kind": "http",
                "status": 400,
                "effect": True,
                "effect_delay_s": 0.2,
                "body": {
                    "status": "error",
                    "message": "Order request timed out. Please check the order book.",
                    "error_type": "OrderException",
                    "data": None,
                },
            },
            kite_errors.OrderException,
            True,
        ),
    ],
    ids=lambda value: (
        "-".join(map(str, list(value.values())[:2])) if isinstance(value, dict) else ""
    ),
)
def test_faults_of_the_transport(
    sandbox: Sandbox, kite: Any, fault: dict[str, Any], raised: type[Exception], *, applied: bool
) -> None:
    """Each fault shows the client what it must, and the ledger tells whether the order is there."""
    kite.timeout = 1.0 if raised is requests.ReadTimeout else 60
    match = {"method": "POST", "path": "/orders/regular", "api_key": API_KEY, "tag": "t1"}
    sandbox.ask("POST", "/faults", {"target": "kite", "match": match} | fault)
    if raised is KeyError:  # an error without a type breaks the SDK
        raised = TypeError if fault.get("status") == 503 else raised
    with pytest.raises(raised):
        buy(kite, tag="t1")
    if applied:
        eventually(lambda: sandbox.ask("GET", "/ledger", tag="t1")[0]["applied"])
    else:
        assert sandbox.ask("GET", "/ledger", tag="t1")[0]["applied"] is False
    assert len(truth(sandbox)["orders"]) == int(applied)
    kite.timeout = 60
    assert buy(kite, tag="t1"), "a fault strikes once unless it says otherwise"


def test_drip_defeats_a_read_timeout(sandbox: Sandbox, kite: Any) -> None:
    """A dripped answer comes whole, a byte at a time, each within the read timeout."""
    sandbox.fault("drip", delay_s=0.02, match={"method": "POST"})
    began = time.monotonic()
    assert buy(kite)
    assert time.monotonic() - began > 0.5, "longer than any wait for the next byte"


def test_hidden_order(sandbox: Sandbox, kite: Any) -> None:
    """An order may be missing from the day's orders and trades for a while, though it is there."""
    sandbox.fault("hide", delay_s=2)
    began = time.monotonic()
    order_id = buy(kite)
    filled(sandbox, order_id)
    seen = [kite.orders(), kite.trades()]
    with suppress(kite_errors.KiteException):
        seen.append(kite.order_history(order_id))
    if time.monotonic() - began < 2:  # else the machine was too slow to see it hidden
        assert seen == [[], []]
    eventually(lambda: [o["order_id"] for o in patient(kite.orders) or []] == [order_id])


def test_rejected_after_acceptance(sandbox: Sandbox, kite: Any) -> None:
    """An accepted order may be rejected later, with the broker's reason."""
    sandbox.fault("no_fill")
    sandbox.fault("reject_later", delay_s=0.1, message="RMS:Blocked for MIS")
    order_id = buy(kite)
    eventually(lambda: row(sandbox, order_id)["status"] == "REJECTED")
    order = kite.orders()[0]
    assert (order["status_message"], order["pending_quantity"]) == ("Blocked for MIS", 0)


def test_price_outside_the_circuit(sandbox: Sandbox, kite: Any) -> None:
    """A price beyond the day's limits is accepted first and rejected then."""
    order_id = buy(kite, order_type="LIMIT", price=100)
    eventually(lambda: row(sandbox, order_id)["status"] == "REJECTED")
    assert "circuit" in kite.orders()[0]["status_message"]


def test_partial_and_no_fill(sandbox: Sandbox, kite: Any) -> None:
    """A market order may fill in part and rest; with a delay the rest fills later."""
    sandbox.fault("partial_fill", quantity=3)
    stuck = buy(kite)
    eventually(lambda: row(sandbox, stuck)["filled_quantity"] == 3)
    assert kite.orders()[0]["status"] == "OPEN"
    sandbox.fault("no_fill", delay_s=0.3)
    late = buy(kite)
    filled(sandbox, late)
    assert row(sandbox, stuck)["filled_quantity"] == 3


def test_cancelled_order_fills_later(sandbox: Sandbox, kite: Any) -> None:
    """An order may be shown as cancelled and turn out to have filled."""
    sandbox.fault("cancel_then_fill", delay_s=1)
    order_id = resting(kite, sandbox)
    began = time.monotonic()
    kite.cancel_order("regular", order_id)
    status = row(sandbox, order_id)["status"]
    if time.monotonic() - began < 1:  # else the machine was too slow to see it cancelled
        assert status == "CANCELLED"
    order = filled(sandbox, order_id)
    assert (order["filled_quantity"], order["cancelled_quantity"]) == (10, 0)
    assert kite.positions()["net"][0]["quantity"] == 10


def test_lost_tag(sandbox: Sandbox, kite: Any) -> None:
    """The broker may forget a tag; the ledger keeps what was sent."""
    sandbox.fault("lose_tag")
    buy(kite, tag="mine", order_type="LIMIT", price=800)
    assert kite.orders()[0]["tag"] is None
    assert sandbox.ask("GET", "/ledger", tag="mine")[0]["applied"] is True


def test_faults_are_listed_and_deleted(sandbox: Sandbox, kite: Any) -> None:
    """A fault without end strikes until it is deleted; a wrong one is refused with the reason."""
    fault_id = sandbox.fault("http", times=0, status=500, match={"path": "/user/profile"})
    for _ in range(3):
        with pytest.raises(kite_errors.DataException):
            kite.profile()
    assert [fault["id"] for fault in sandbox.ask("GET", "/faults")] == [fault_id]
    sandbox.ask("DELETE", f"/faults/{fault_id}")
    assert kite.profile()
    refused = sandbox.call("POST", "/faults", {"target": "kite", "kind": "gremlin"})
    assert refused.status_code == 400
    assert "kind must be one of" in refused.json()["error"]
    assert sandbox.call("DELETE", "/faults/f99").status_code == 404


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address for postbacks, and what came there."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/postback", got
        server.shutdown()
        thread.join()


def test_postback(sandbox: Sandbox, receiver: tuple[str, list[dict[str, Any]]]) -> None:
    """A finished order is posted to the app's address with Kite's fields and checksum."""
    address, got = receiver
    account = {"broker": "kite", "api_key": API_KEY, "user_id": USER, "postback_url": address}
    sandbox.ask("POST", "/accounts", account)
    order_id = buy(log_in(sandbox), tag="pb")
    eventually(lambda: bool(got))
    body = got[-1]
    assert set(body) >= POSTBACK_KEYS
    assert (body["order_id"], body["status"], body["tag"]) == (order_id, "COMPLETE", "pb")
    text = body["order_id"] + body["order_timestamp"] + API_SECRET
    assert body["checksum"] == hashlib.sha256(text.encode()).hexdigest()


async def test_order_frames(sandbox: Sandbox) -> None:
    """A socket gets heartbeats and the user's orders; a wrong token is refused at the handshake."""
    kite = await asyncio.to_thread(log_in, sandbox)
    root = f"ws://127.0.0.1:{sandbox.ports['kite']}/?api_key={API_KEY}&access_token="
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(root + "wrong")
        assert caught.value.status == 403
        async with http.ws_connect(root + kite.access_token) as socket, asyncio.timeout(150):
            assert (await socket.receive()).data == b"\x00"
            order_id = await asyncio.to_thread(buy, kite)
            while True:
                message = await socket.receive()
                if message.type == aiohttp.WSMsgType.TEXT:
                    break
            frame = message.json()
    assert (frame["type"], frame["data"]["order_id"]) == ("order", order_id)
