"""The simulated Fyers on a bad day, seen through the official SDK: each fault, and webhooks."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fyers_sandbox import Account, FyersSandbox, eventually, market_order

CLOCK = "2026-11-23T10:00:00"
UNKNOWN = {"s": "error", "code": -99, "message": "Bad request"}
"""What the SDK says of every failure of the transport."""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FyersSandbox]:
    made = FyersSandbox(tmp_path_factory.mktemp("fyers"), "--clock", CLOCK)
    yield made
    made.close()


@pytest.fixture
def account(sandbox: FyersSandbox) -> Account:
    return sandbox.login()


def place(account: Account, **fields: Any) -> dict[str, Any]:
    """Place a market order and return a copy of the answer, which the SDK shares."""
    return dict(account.api.place_order(market_order(orderTag="Fault1", **fields)))


def filled(account: Account, **fields: Any) -> str:
    """Place a market order of one share, wait for its fill and return its id."""
    order_id = str(account.api.place_order(market_order(qty=1, **fields))["id"])
    account.settled(order_id, "COMPLETE")
    return order_id


def tags(account: Account) -> list[str]:
    return [row["orderTag"] for row in account.api.orderbook()["orderBook"]]


def applied(account: Account) -> list[bool]:
    return [row["applied"] for row in account.ledger]


# Transport


def test_reset_before_the_effect_places_nothing(account: Account):
    """The connection is cut; the ledger has the write, the book has no order."""
    account.fault("reset_before")
    assert place(account) == UNKNOWN
    assert applied(account) == [False]
    assert tags(account) == []


def test_reset_after_the_effect_leaves_the_order(account: Account):
    """The same answer, but the order is there under its tag."""
    account.fault("reset_after")
    assert place(account) == UNKNOWN
    assert applied(account) == [True]
    assert tags(account) == ["1:Fault1"]


@pytest.mark.parametrize("effect", [False, True])
def test_hang_ends_in_the_client_s_timeout(account: Account, effect: bool):
    """No answer comes; whether the order was placed is the fault's choice."""
    account.fault("hang", effect=effect)
    api = account.api
    account.session.timeout_s = 1.5
    assert dict(api.place_order(market_order(orderTag="Fault1"))) == UNKNOWN
    account.session.timeout_s = 60.0
    eventually(lambda: tags(account) == (["1:Fault1"] if effect else []))


def test_delay_only_takes_time(account: Account):
    """A delayed order is placed and answered as usual."""
    account.fault("delay", delay_s=0.4)
    assert place(account)["code"] == 1101
    assert account.session.last is not None
    assert account.session.last.elapsed.total_seconds() >= 0.4


def test_http_fault_answers_what_it_is_told(account: Account):
    """Status, headers and body come through; the order is not placed."""
    body = {"s": "error", "code": -96, "message": "Unexpected error"}
    account.fault("http", status=500, headers={"Retry-After": "3"}, body=body)
    assert place(account) == body
    assert account.session.last is not None
    assert account.session.last.status_code == 500
    assert account.session.last.headers["Retry-After"] == "3"
    assert tags(account) == []


@pytest.mark.parametrize(("status", "effect"), [(502, False), (200, True)])
def test_html_leaves_only_the_status(account: Account, status: int, effect: bool):
    """The SDK shows the HTTP status as the code of an unreadable page."""
    account.fault("html", status=status, effect=effect)
    assert place(account) == UNKNOWN | {"code": status}
    assert tags(account) == (["1:Fault1"] if effect else [])


def test_malformed_json_hides_a_placed_order(account: Account):
    """Half a body is no JSON: code 200, error, and the order exists."""
    account.fault("malformed")
    assert place(account) == UNKNOWN | {"code": 200}
    assert tags(account) == ["1:Fault1"]


def test_drip_comes_byte_by_byte(account: Account):
    """A slow body arrives whole in the end."""
    account.fault("drip", delay_s=0.005)
    assert place(account)["code"] == 1101
    assert applied(account) == [True]


def test_fault_strikes_only_what_it_matches(account: Account, sandbox: FyersSandbox):
    """Another app, another method and the call after the last strike are left alone."""
    other = sandbox.login()
    account.fault("html", match={"method": "POST", "path": "/orders/sync"})
    assert place(other)["code"] == 1101
    assert account.api.cancel_order({"id": "1"})["code"] == -51
    assert place(account)["code"] == 502
    assert place(account)["code"] == 1101


def test_throttled_write_is_in_the_ledger(account: Account):
    """A 429 of the script has its entry and no effect."""
    body = {"s": "error", "code": -429, "message": "request limit reached"}
    account.fault("http", status=429, headers={"Retry-After": "1"}, body=body)
    assert place(account)["code"] == -429
    assert applied(account) == [False]


def test_login_exchange_can_be_struck_for_one_app(account: Account, sandbox: FyersSandbox):
    """A fault on the exchange of the code finds its app by the hash that it sends."""
    other = sandbox.register()
    account.fault("http", match={"path": "/validate-authcode"}, body={"s": "error", "code": -96})
    assert other.exchange(other.auth_code())["s"] == "ok"
    assert account.exchange(account.auth_code())["code"] == -96


def test_kept_state_survives_a_restart(sandbox: FyersSandbox, tmp_path: Path):
    """With `--state` the token, the order and the ledger are there again, and ids go on."""
    options = ("--clock", CLOCK, "--state", str(tmp_path / "state"))
    first = FyersSandbox(tmp_path, *options)
    account = first.login()
    order_id = place(account)["id"]
    account.settled(order_id, "COMPLETE")
    first.close()
    second = FyersSandbox(tmp_path, *options)
    try:
        again = replace(account, sandbox=second)
        assert [row["id"] for row in again.api.orderbook()["orderBook"]] == [order_id]
        assert place(again)["id"] > order_id
        assert again.ledger[0]["broker_order_id"] == order_id
    finally:
        again.session.close()
        second.close()
        sandbox.aim()


# The broker's own


@pytest.mark.parametrize("effect", [True, False])
def test_code_201_is_sent_without_acknowledgement(account: Account, effect: bool):
    """The answer is ok and 201 without an id; only the book tells whether the order is there."""
    account.fault("code_201", effect=effect)
    answer = place(account)
    assert (answer["s"], answer["code"]) == ("ok", 201)
    assert "id" not in answer
    assert tags(account) == (["1:Fault1"] if effect else [])
    assert applied(account) == [effect]


def test_lost_tag_shows_the_order_untagged(account: Account):
    """The broker forgets the tag; the ledger knows what was sent."""
    account.fault("lose_tag")
    assert place(account)["code"] == 1101
    assert tags(account) == ["2:Untagged"]
    assert account.api.orderbook({"order_tag": "1:Fault1"})["orderBook"] == []
    assert account.ledger[0]["tag"] == "Fault1"


def test_hidden_order_shows_up_later(account: Account):
    """The day's orders and trades lack it at first; the truth has it at once."""
    account.fault("hide", delay_s=1.0)
    began = time.monotonic()
    order_id = place(account)["id"]
    seen = tags(account)
    if time.monotonic() - began < 1.0:  # else the machine was too slow to see it hidden
        assert seen == []
    account.settled(order_id, "COMPLETE")
    eventually(lambda: tags(account) == ["1:Fault1"])
    assert len(account.api.tradebook()["tradeBook"]) == 1


def test_accepted_order_is_rejected_later(account: Account):
    """1101 first; status 5 with the reason after it."""
    account.fault("reject_later", delay_s=0.2, message="RED:Not allowed today")
    order_id = place(account)["id"]
    account.settled(order_id, "REJECTED")
    row = account.row(order_id)
    assert (row["status"], row["filledQty"]) == (5, 0)
    assert row["message"] == "RED:Not allowed today"


def test_partial_fill_is_pending_with_a_filled_quantity(account: Account):
    """Status 6 with filledQty; cancelled, it keeps what it had (status 1, filledQty > 0)."""
    account.fault("partial_fill", quantity=4)
    order_id = place(account)["id"]
    eventually(lambda: account.row(order_id)["filledQty"] == 4)
    row = account.row(order_id)
    assert (row["status"], row["remainingQuantity"]) == (6, 6)
    assert account.api.cancel_order({"id": order_id})["code"] == 1103
    row = account.row(order_id)
    assert (row["status"], row["filledQty"], row["remainingQuantity"]) == (1, 4, 0)


def test_no_fill_rests_until_its_time(account: Account):
    """A market order that nothing fills is pending, and fills once the fault ends."""
    account.fault("no_fill", delay_s=0.8)
    began = time.monotonic()
    order_id = place(account)["id"]
    filled = account.row(order_id)["filledQty"]
    if time.monotonic() - began < 0.8:  # else the machine was too slow to see it rest
        assert filled == 0
    account.settled(order_id, "COMPLETE")
    assert account.row(order_id)["status"] == 2


# Webhook


class _Receiver(BaseHTTPRequestHandler):
    status = 200
    bodies: list[bytes]

    @classmethod
    def has(cls, count: int) -> bool:
        return len(cls.bodies) == count

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, type[_Receiver]]]:
    kind = type("Receiver", (_Receiver,), {"bodies": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/postback", kind
    server.shutdown()
    thread.join()
    server.server_close()


def test_changes_of_orders_are_posted(sandbox: FyersSandbox, receiver: tuple[str, type[_Receiver]]):
    """A fill comes as a JSON body with the fields of the order book."""
    url, kind = receiver
    account = sandbox.login(postback_url=url)
    order_id = filled(account, orderTag="Hook1")
    (body,) = eventually(lambda: kind.bodies)
    assert order_id.encode() in body
    assert b'"status": 2' in body
    assert b'"orderTag": "1:Hook1"' in body


def test_failing_webhook_is_blacklisted(
    sandbox: FyersSandbox, receiver: tuple[str, type[_Receiver]]
):
    """After three answers that are not 200 nothing more is sent to that address."""
    url, kind = receiver
    kind.status = 500
    account, other = sandbox.login(postback_url=url), sandbox.login(postback_url=url + "/other")
    for count in (1, 2, 3):
        filled(account)
        eventually(partial(kind.has, count))
    kind.status = 200
    barred, later = filled(account), filled(other)
    eventually(partial(kind.has, 4))
    assert later.encode() in kind.bodies[3]
    assert not any(barred.encode() in body for body in kind.bodies)
