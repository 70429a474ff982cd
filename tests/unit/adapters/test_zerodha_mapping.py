"""Kite's words translated: each row of the outcome tables, and the recorded replies."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from core.adapters.broker_http import NoReply, Raw, Reply
from core.adapters.fields import Row
from core.adapters.zerodha import mapping
from core.adapters.zerodha.instruments import parse_master
from core.domain.broker import BrokerStatus
from core.domain.instrument import InstrumentId, Product, Segment
from core.domain.order import OrderType, Side
from core.domain.outcome import Acked, Ambiguous, Cause, NotSent, Refusal, Refused, WriteOutcome
from core.errors import BrokerReadError, ReadFault

IST = timezone(timedelta(hours=5, minutes=30))
ADDRESS_TEXT = (
    "IP (203.0.113.7) is not allowed to place orders for this app. "
    "Update allowed IPs on the Kite developer console."
)


def reply(status: int, body: object, **headers: str) -> Reply:
    """Return a reply with a JSON body, or with raw bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {key.replace("_", "-"): value for key, value in headers.items()}, data)


def error(status: int, error_type: str | None, message: str = "No.") -> Reply:
    """Return an error as Kite words it."""
    body = {"status": "error", "message": message, "data": None, "error_type": error_type}
    return reply(status, body)


def kind_of(outcome: WriteOutcome) -> object:
    """Return the refusal's kind, or the class of any other outcome."""
    return outcome.kind if isinstance(outcome, Refused) else type(outcome)


OUTCOMES: list[tuple[str, Raw, object]] = [
    ("acknowledged", reply(200, {"status": "success", "data": {"order_id": "1"}}), Acked),
    ("not sent", NoReply(False, ReadFault.UNREACHABLE, "no"), NotSent),
    ("broken", NoReply(True, ReadFault.UNREACHABLE, "no"), Ambiguous),
    ("InputException", error(400, "InputException"), Refusal.REJECTED),
    ("MarginException", error(400, "MarginException", "Insufficient funds."), Refusal.REJECTED),
    (
        "MarginException in full",
        error(
            400,
            "MarginException",
            "Insufficient funds. Required margin is 9.00 but available margin is 1.00. "
            "Check the orderbook for open orders.",
        ),
        Refusal.REJECTED,
    ),
    ("HoldingException", error(400, "HoldingException"), Refusal.REJECTED),
    ("OrderException", error(400, "OrderException", "RMS: freeze"), Refusal.REJECTED),
    ("UserException", error(403, "UserException"), Refusal.REJECTED),
    ("405", error(405, "InputException"), Refusal.REJECTED),
    ("TokenException", error(403, "TokenException"), Refusal.AUTH_REQUIRED),
    ("PermissionException", error(403, "PermissionException"), Refusal.PERMISSION),
    ("address, by type", error(403, "PermissionException", ADDRESS_TEXT), Refusal.PERMISSION),
    ("address, by text", error(400, "InputException", ADDRESS_TEXT), Refusal.PERMISSION),
    ("429", error(429, "NetworkException", "Too many requests"), Refusal.THROTTLED),
    ("429 html", reply(429, b"<html>"), Refusal.THROTTLED),
    (
        "400 timed out",
        error(
            400, "OrderException", "Order request timed out. Please check the order book and retry."
        ),
        Ambiguous,
    ),
    ("400 time-out", error(400, "InputException", "Gateway time-out"), Ambiguous),
    ("400 book", error(400, "OrderException", "Please check orderbook"), Ambiguous),
    ("400 unknown type", error(400, "SurpriseException"), Ambiguous),
    ("400 no type", reply(400, {"status": "error", "message": "Bad"}), Ambiguous),
    ("400 null type", error(400, None), Ambiguous),
    ("400 general", error(400, "GeneralException"), Ambiguous),
    ("400 html", reply(400, b"<html>"), Ambiguous),
    ("403 html", reply(403, b"<html>"), Ambiguous),
    ("404 general", error(404, "GeneralException"), Ambiguous),
    ("500 OrderException", error(500, "OrderException"), Ambiguous),
    ("500 TokenException", error(500, "TokenException"), Ambiguous),
    ("500 GeneralException", error(500, "GeneralException"), Ambiguous),
    ("502 DataException", error(502, "DataException"), Ambiguous),
    ("503 NetworkException", error(503, "NetworkException"), Ambiguous),
    ("504", error(504, "NetworkException"), Ambiguous),
    ("302", reply(302, b""), Ambiguous),
    ("200 error", error(200, "InputException"), Ambiguous),
    ("500 success", reply(500, {"status": "success", "data": {"order_id": "1"}}), Ambiguous),
    ("400 success", reply(400, {"status": "success", "error_type": "InputException"}), Ambiguous),
    ("200 no data", reply(200, {"status": "success"}), Ambiguous),
    ("200 empty id", reply(200, {"status": "success", "data": {"order_id": ""}}), Ambiguous),
    ("200 numeric id", reply(200, {"status": "success", "data": {"order_id": 7}}), Ambiguous),
    ("200 list", reply(200, []), Ambiguous),
    ("200 empty", reply(200, b""), Ambiguous),
    ("200 cut", reply(200, b'{"status":"success","data":{"order'), Ambiguous),
]


@pytest.mark.matrix("N05", "N06", "N07", "N08", "N09", "N10", "N16", "N17")
@pytest.mark.parametrize(
    ("raw", "expected"), [row[1:] for row in OUTCOMES], ids=[r[0] for r in OUTCOMES]
)
def test_every_end_of_a_write_has_its_outcome(raw: Raw, expected: object) -> None:
    """Only a parsed body of a known kind proves a refusal; the rest is ambiguous."""
    assert kind_of(mapping.write_outcome(raw)) == expected


@pytest.mark.matrix("N08")
def test_refusal_carries_the_broker_s_words() -> None:
    """The user reads what Kite said."""
    outcome = mapping.write_outcome(error(400, "MarginException", "Insufficient funds."))
    assert outcome == Refused(Refusal.REJECTED, "Insufficient funds.", cause=Cause.MARGIN)


@pytest.mark.matrix("N15")
def test_answer_about_another_order_is_ambiguous() -> None:
    """An acknowledgement that names another order belongs to another request."""
    raw = reply(200, {"status": "success", "data": {"order_id": "2"}})
    assert isinstance(mapping.write_outcome(raw, "1"), Ambiguous)
    assert mapping.write_outcome(raw, "2") == Acked("2")


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (error(403, "TokenException"), ReadFault.AUTH_REQUIRED),
        (error(403, "PermissionException"), ReadFault.PERMISSION),
        (error(400, "InputException"), ReadFault.REFUSED),
        (error(429, "NetworkException"), ReadFault.THROTTLED),
        (error(503, "NetworkException"), ReadFault.UNREACHABLE),
        (error(500, "TokenException"), ReadFault.UNREACHABLE),
        (error(200, "InputException"), ReadFault.MALFORMED),
        (reply(200, b"<html>"), ReadFault.MALFORMED),
        (reply(403, b"<html>"), ReadFault.MALFORMED),
        (reply(302, b""), ReadFault.MALFORMED),
        (reply(200, {"status": "success", "data": None}), ReadFault.MALFORMED),
        (NoReply(True, ReadFault.TIMEOUT, "late"), ReadFault.TIMEOUT),
    ],
)
def test_every_failed_read_has_its_fault(raw: Raw, fault: ReadFault) -> None:
    """A plan without data is no dead login, and a server in trouble is neither."""
    with pytest.raises(BrokerReadError) as caught:
        mapping.payload_of(raw)
    assert caught.value.fault is fault


ORDER = {
    "order_id": "1953341975595868160",
    "exchange_order_id": None,
    "status": "OPEN",
    "status_message": None,
    "status_message_raw": "RMS:x",
    "order_timestamp": "2026-11-23 09:18:57",
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "SBIN",
    "order_type": "LIMIT",
    "transaction_type": "BUY",
    "product": "MIS",
    "quantity": 10,
    "filled_quantity": 4,
    "price": 801.05,
    "trigger_price": 0,
    "average_price": 801.0,
    "tag": "SAAAAAAAAAAAAAAAAAAA",
}


def order_row(**changes: object) -> Row:
    """Return a row as it comes off the wire."""
    parsed = reply(200, {**ORDER, **changes}).mapping()
    return Row(parsed)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("COMPLETE", BrokerStatus.COMPLETE),
        ("CANCELLED", BrokerStatus.CANCELED),
        ("CANCELLED AMO", BrokerStatus.CANCELED),
        ("REJECTED", BrokerStatus.REJECTED),
        *(
            (word, BrokerStatus.WORKING)
            for word in (
                "OPEN",
                "TRIGGER PENDING",
                "PUT ORDER REQ RECEIVED",
                "VALIDATION PENDING",
                "OPEN PENDING",
                "MODIFY PENDING",
                "CANCEL PENDING",
                "AMO REQ RECEIVED",
                "SOMETHING NEW",
            )
        ),
    ],
)
def test_unknown_status_is_never_final(word: str, status: BrokerStatus) -> None:
    """Four words are final, every other one means that the order works."""
    order = mapping.broker_order(order_row(status=word))
    assert order.status is status


@pytest.mark.parametrize(
    ("word", "has_pending_request"),
    [
        ("OPEN", False),
        ("TRIGGER PENDING", False),
        ("COMPLETE", False),
        ("VALIDATION PENDING", True),
        ("OPEN PENDING", True),
        ("MODIFY PENDING", True),
        ("modify pending", True),
        ("CANCEL PENDING", True),
    ],
)
def test_pending_word_means_that_a_request_is_on_its_way(
    word: str, has_pending_request: bool
) -> None:
    """A stop that waits for its trigger is at rest, whatever its word."""
    order = mapping.broker_order(order_row(status=word))
    assert order.has_pending_request is has_pending_request


@pytest.mark.row("R7")
@pytest.mark.parametrize(
    ("word", "trigger", "is_triggered"),
    [
        ("TRIGGER PENDING", 790, False),
        ("OPEN", 790, True),
        ("MODIFY PENDING", 790, None),
        ("OPEN", 0, None),
    ],
)
def test_stop_that_is_open_has_triggered(
    word: str, trigger: int, is_triggered: bool | None
) -> None:
    """By its trigger and its status; the echoed order type does not say that it was a stop."""
    order = mapping.broker_order(order_row(status=word, trigger_price=trigger, order_type="LIMIT"))
    assert order.is_triggered is is_triggered


def test_order_row_is_translated_exactly() -> None:
    """Ids stay text, prices keep their digits, times are Indian."""
    order = mapping.broker_order(order_row())
    assert order.broker_order_id == "1953341975595868160"
    assert order.instrument == InstrumentId("NSE", "SBIN")
    assert (order.side, order.product, order.order_type) == (
        Side.BUY,
        Product.MIS,
        OrderType.LIMIT,
    )
    assert (order.quantity, order.filled_quantity) == (10, 4)
    assert (order.limit_price, order.trigger_price) == (Decimal("801.05"), None)
    assert order.message == "RMS:x"
    assert order.placed_at == datetime(2026, 11, 23, 9, 18, 57, tzinfo=IST)


@pytest.mark.matrix("B13")
@pytest.mark.parametrize(
    ("tag", "tags", "expected"),
    [
        ("SAAAAAAAAAAAAAAAAAAA", None, "SAAAAAAAAAAAAAAAAAAA"),
        (None, ["mktp:2.00", "SAAAAAAAAAAAAAAAAAAA", "mktp"], "SAAAAAAAAAAAAAAAAAAA"),
        ("mktp", ["mktp", "SAAAAAAAAAAAAAAAAAAA"], "SAAAAAAAAAAAAAAAAAAA"),
        ("by hand", ["by hand"], "by hand"),
        (None, None, None),
    ],
)
def test_our_tag_is_found_wherever_it_stands(
    tag: str | None, tags: list[str] | None, expected: str | None
) -> None:
    """Our id is found in ``tag`` or among the system's own ``tags``."""
    assert mapping.broker_order(order_row(tag=tag, tags=tags)).tag == expected


@pytest.mark.parametrize("word", ["MTF", "CO", "BO"])
def test_foreign_products_do_not_blind_the_account(word: str) -> None:
    """A user's funded or cover trade is shown, and never taken for delivery stock."""
    assert mapping.broker_order(order_row(product=word)).product is not Product.CNC


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": None},
        {"quantity": "x"},
        {"quantity": 1.5},
        {"quantity": True},
        {"order_id": None},
        {"transaction_type": "HOLD"},
        {"product": "NEW"},
        {"average_price": "NaN"},
    ],
)
def test_damaged_row_is_malformed(changes: dict[str, object]) -> None:
    """What cannot be read is an error, not a guess."""
    with pytest.raises(BrokerReadError) as caught:
        mapping.broker_order(order_row(**changes))
    assert caught.value.fault is ReadFault.MALFORMED


HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
    "lot_size,instrument_type,segment,exchange\n"
)
MASTER = HEADER + (
    "779521,3045,SBIN,STATE BANK OF INDIA,0.0,,0.0,0.05,1,EQ,NSE,NSE\n"
    "3813889,14898,CENTRALBK-BE,CENTRAL BANK,0.0,,0.0,0.05,1,EQ,NSE,NSE\n"
    "256265,1001,NIFTY 50,NIFTY 50,0.0,,0.0,0,0,EQ,INDICES,NSE\n"
    "128028676,500112,SBIN,STATE BANK OF INDIA,0.0,,0.0,0.05,1,EQ,BSE,BSE\n"
    "100,1,SBIN26NOVFUT,SBIN,0.0,2026-11-24,0.0,0.05,750,FUT,NFO-FUT,NFO\n"
    "101,1,CRUDEOIL26NOVFUT,CRUDEOIL,0.0,2026-11-19,0.0,1,1,FUT,MCX-FUT,MCX\n"
    "102,1,XYZ,XYZ,0.0,,0.0,1,1,EQ,NSEIX,NSEIX\n"
)


def test_master_is_translated() -> None:
    """Segments, lots and expiries come over; shares with listed derivatives are marked."""
    rows = {str(row.id): row for row in parse_master(MASTER.encode())}
    assert set(rows) == {
        "NSE:SBIN",
        "NSE:CENTRALBK-BE",
        "NSE:NIFTY 50",
        "BSE:SBIN",
        "NFO:SBIN26NOVFUT",
        "MCX:CRUDEOIL26NOVFUT",
    }
    assert rows["NSE:SBIN"].broker_token == "779521"
    assert rows["NSE:SBIN"].has_derivatives
    assert not rows["BSE:SBIN"].has_derivatives
    assert not rows["NSE:CENTRALBK-BE"].has_derivatives
    assert rows["NSE:NIFTY 50"].segment is Segment.INDEX
    assert rows["NFO:SBIN26NOVFUT"].segment is Segment.DERIVATIVES
    assert rows["NFO:SBIN26NOVFUT"].lot_size == 750
    assert str(rows["NFO:SBIN26NOVFUT"].expiry) == "2026-11-24"
    assert rows["MCX:CRUDEOIL26NOVFUT"].segment is Segment.COMMODITY


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>no</html>",
        HEADER.encode(),
        HEADER.encode() + b"1,2,3\n",
        b"\xff\xfe",
    ],
)
def test_damaged_master_is_malformed(body: bytes) -> None:
    """What is no master is none: it would make instruments disappear."""
    with pytest.raises(BrokerReadError) as caught:
        parse_master(body)
    assert caught.value.fault is ReadFault.MALFORMED


@pytest.mark.row("D10")
def test_damaged_row_leaves_its_instrument_out() -> None:
    """One row that cannot be read takes no other with it."""
    rows = {str(row.id) for row in parse_master(MASTER.replace(",750,", ",many,").encode())}
    assert "NSE:SBIN" in rows
    assert "NFO:SBIN26NOVFUT" not in rows
