"""Fyers' numbers translated: each row of the outcome tables, rows of the account, the masters."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from core.adapters.broker_http import NoReply, Raw, Reply
from core.adapters.fields import Row
from core.adapters.fyers import FYERS, mapping
from core.adapters.fyers.instruments import SymbolBook, parse_masters
from core.adapters.fyers.sdk import FyersSdk
from core.domain.broker import BrokerStatus
from core.domain.instrument import InstrumentId, Product, Segment
from core.domain.order import OrderType, Side
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.errors import BrokerReadError, ReadFault
from tests.fakes.brokers import MASTER, SBIN

IST = timezone(timedelta(hours=5, minutes=30))
BOOK = SymbolBook(MASTER[FYERS])
TODAY = date(2026, 11, 23)


def reply(status: int, body: object, **headers: str) -> Reply:
    """Return a reply with a JSON body, or with raw bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {key.replace("_", "-"): value for key, value in headers.items()}, data)


def error(code: object, message: str = "No.", status: int = 200, **more: str) -> Reply:
    """Return an error as Fyers words it."""
    return reply(status, {"s": "error", "code": code, "message": message, **more})


def kind_of(outcome: WriteOutcome) -> object:
    """Return the refusal's kind, or the class of any other outcome."""
    return outcome.kind if isinstance(outcome, Refused) else type(outcome)


OUTCOMES: list[tuple[str, Raw, object]] = [
    ("acknowledged", reply(200, {"s": "ok", "code": 1101, "id": "1"}), Acked),
    ("not sent", NoReply(False, ReadFault.UNREACHABLE, "no"), NotSent),
    ("broken", NoReply(True, ReadFault.UNREACHABLE, "no"), Ambiguous),
    ("401", error(-16, "Could not authenticate the user", 401), Refusal.AUTH_REQUIRED),
    *((f"session {code}", error(code), Refusal.AUTH_REQUIRED) for code in (-8, -15, -16, -17)),
    ("401 other code", error(-1, "x", 401), Refusal.AUTH_REQUIRED),
    ("403", error(-1, "no scope", 403), Refusal.PERMISSION),
    ("-373", error(-373), Refusal.PERMISSION),
    ("whitelist", error(-50, "IP is not whitelisted", 400), Refusal.PERMISSION),
    ("static ip", error(-99, "Use a registered static IP"), Refusal.PERMISSION),
    ("algo", error(-50, "Algo orders are not allowed for this app"), Refusal.PERMISSION),
    ("429", error(-429, "slow", 429), Refusal.THROTTLED),
    ("429 html", reply(429, b"<html>"), Refusal.THROTTLED),
    ("-429", error(-429), Refusal.THROTTLED),
    ("-353", error(-353), Refusal.THROTTLED),
    *(
        (f"rejected {code}", error(code, "RED:Margin Shortfall", 400), Refusal.REJECTED)
        for code in (-50, -51, -53, -99, -300, -352, -310, -392, -159, -161, -162, -209, -101)
    ),
    ("-99 with an id", error(-99, "RED:Margin Shortfall", id="9"), Refusal.REJECTED),
    ("-99 generic", error(-99, "Bad request"), Ambiguous),
    ("timed out", error(-99, "Request timed out"), Ambiguous),
    ("201", reply(200, {"s": "ok", "code": 201, "message": "sent", "id": "1"}), Ambiguous),
    ("201 error", error(201, "No acknowledgement"), Ambiguous),
    *((f"{code}", error(code), Ambiguous) for code in (-96, -201, -202, -204, -205, -7777)),
    ("no code", reply(200, {"s": "error", "message": "x"}), Ambiguous),
    ("boolean code", error(True), Ambiguous),
    ("500 json", error(-99, "RED:Margin", 500), Ambiguous),
    ("500 session", error(-16, "x", 500), Ambiguous),
    ("502 html", reply(502, b"<html>"), Ambiguous),
    ("403 html", reply(403, b"<html>"), Ambiguous),
    ("401 html", reply(401, b"<html>"), Ambiguous),
    ("200 html", reply(200, b"<html>"), Ambiguous),
    ("200 empty", reply(200, b""), Ambiguous),
    ("200 list", reply(200, []), Ambiguous),
    ("302", reply(302, b""), Ambiguous),
    ("no id", reply(200, {"s": "ok", "code": 1101}), Ambiguous),
    ("numeric id", reply(200, {"s": "ok", "code": 1101, "id": 1}), Ambiguous),
    ("500 ok", reply(500, {"s": "ok", "code": 1101, "id": "1"}), Ambiguous),
    ("other success", reply(200, {"s": "ok", "code": 200, "id": "1"}), Ambiguous),
    ("another write's", reply(200, {"s": "ok", "code": 1103, "id": "1"}), Ambiguous),
]


@pytest.mark.matrix("N05", "N06", "N07", "N08", "N09", "N10", "N16", "N17")
@pytest.mark.parametrize(
    ("raw", "expected"), [row[1:] for row in OUTCOMES], ids=[r[0] for r in OUTCOMES]
)
def test_every_end_of_a_write_has_its_outcome(raw: Raw, expected: object) -> None:
    """Only a documented code in a parsed body proves a refusal; the rest is ambiguous."""
    assert kind_of(mapping.write_outcome(raw, 1101)) == expected


@pytest.mark.matrix("N15")
@pytest.mark.parametrize(("accepted", "code"), [(1102, 1102), (1102, 1101), (1103, 1103)])
def test_answer_must_be_about_the_order_asked_for(accepted: int, code: int) -> None:
    """A change or cancel is acknowledged under its own id only."""
    raw = reply(200, {"s": "ok", "code": code, "id": "7"})
    assert mapping.write_outcome(raw, accepted, "7") == Acked("7")
    assert isinstance(mapping.write_outcome(raw, accepted, "8"), Ambiguous)


@pytest.mark.matrix("N09")
def test_delay_is_read_from_either_header() -> None:
    """The milliseconds win, an unreadable date is no number."""
    for headers, expected in (
        ({"retry_after": "3", "x_retry_after_ms": "2500"}, 2.5),
        ({"retry_after": "3"}, 3.0),
        ({"retry_after": "Mon, 23 Nov 2026 09:15:00 GMT"}, None),
        ({}, None),
    ):
        outcome = mapping.write_outcome(reply(429, {"s": "error"}, **headers), 1101)
        assert isinstance(outcome, Refused)
        assert outcome.retry_after_s == expected


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (error(-16, status=401), ReadFault.AUTH_REQUIRED),
        (error(-15, status=401), ReadFault.AUTH_REQUIRED),
        (error(-17), ReadFault.AUTH_REQUIRED),
        (error(-1, status=403), ReadFault.PERMISSION),
        (error(-50), ReadFault.REFUSED),
        (error(-429), ReadFault.THROTTLED),
        (error(-1, status=429), ReadFault.THROTTLED),
        (error(-1, status=500), ReadFault.UNREACHABLE),
        (reply(502, b"<html>"), ReadFault.UNREACHABLE),
        (reply(200, b"<html>"), ReadFault.MALFORMED),
        (reply(302, b""), ReadFault.MALFORMED),
        (NoReply(True, ReadFault.TIMEOUT, "late"), ReadFault.TIMEOUT),
    ],
)
def test_every_failed_read_has_its_fault(raw: Raw, fault: ReadFault) -> None:
    """A missing scope is no dead login, and a server in trouble is neither."""
    with pytest.raises(BrokerReadError) as caught:
        mapping.payload_of(raw)
    assert caught.value.fault is fault


ORDER = {
    "id": "26112300000015",
    "exchOrdId": "",
    "symbol": "NSE:SBIN-EQ",
    "qty": 10,
    "filledQty": 4,
    "limitPrice": 801.05,
    "stopPrice": 0,
    "tradedPrice": 801,
    "type": 1,
    "side": -1,
    "status": 6,
    "productType": "INTRADAY",
    "orderDateTime": "23-Nov-2026 09:34:38",
    "orderTag": "1:SAAAAAAAAAAAAAAAAAAA",
    "message": "RED:x",
}


def order_row(**changes: object) -> Row:
    """Return a row as it comes off the wire."""
    return Row(reply(200, {**ORDER, **changes}).mapping())


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (1, BrokerStatus.CANCELED),
        (2, BrokerStatus.COMPLETE),
        (3, BrokerStatus.WORKING),
        (4, BrokerStatus.WORKING),
        (5, BrokerStatus.REJECTED),
        (6, BrokerStatus.WORKING),
        (7, BrokerStatus.EXPIRED),
        (42, BrokerStatus.WORKING),
    ],
)
def test_unknown_status_is_never_final(number: int, status: BrokerStatus) -> None:
    """Four numbers are final, every other one means that the order works."""
    assert mapping.broker_order(order_row(status=number), BOOK).status is status


def test_order_row_is_translated_exactly() -> None:
    """Our name of the symbol, our tag without its prefix, exact prices, Indian time."""
    order = mapping.broker_order(order_row(), BOOK)
    assert order.instrument == SBIN
    assert (order.side, order.product, order.order_type) == (
        Side.SELL,
        Product.MIS,
        OrderType.LIMIT,
    )
    assert order.tag == "SAAAAAAAAAAAAAAAAAAA"
    assert order.exchange_order_id is None
    assert (order.limit_price, order.trigger_price) == (Decimal("801.05"), None)
    assert order.placed_at == datetime(2026, 11, 23, 9, 34, 38, tzinfo=IST)


@pytest.mark.matrix("B13")
@pytest.mark.parametrize(
    ("tag", "expected"),
    [("1:ABC", "ABC"), ("ABC", "ABC"), ("2:Untagged", None), ("1:Untagged", None), ("", None)],
)
def test_tag_loses_its_prefix(tag: str, expected: str | None) -> None:
    """Fyers puts a number before the tag, and a word where there is none."""
    assert mapping.broker_order(order_row(orderTag=tag), BOOK).tag == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("09-Mar-2023 09:34:38", datetime(2023, 3, 9, 9, 34, 38, tzinfo=IST)),
        ("09-03-2023 09:34:38", datetime(2023, 3, 9, 9, 34, 38, tzinfo=IST)),
        ("31-Feb-2023 09:34:38", None),
        ("09-Mai-2023 09:34:38", None),
        ("soon", None),
        (None, None),
    ],
)
def test_times_are_read_without_the_locale(text: str | None, expected: datetime | None) -> None:
    """Month names are English whatever the machine speaks."""
    assert mapping.broker_order(order_row(orderDateTime=text), BOOK).placed_at == expected


def test_symbol_outside_the_master_keeps_its_own_name() -> None:
    """A row of an unknown symbol is neither lost nor taken for another instrument."""
    order = mapping.broker_order(order_row(symbol="NSE:OTHER-EQ"), BOOK)
    assert order.instrument == InstrumentId("NSE", "OTHER-EQ")


def test_funds_are_found_by_id() -> None:
    """The order of the amounts is not promised."""
    rows = [
        {"id": 9, "equityAmount": 100},
        {"id": 10, "equityAmount": 58.15},
        {"id": 2, "equityAmount": 41.85},
    ]
    funds = mapping.funds(Row(reply(200, {"fund_limit": rows}).mapping()))
    assert (funds.available, funds.used, funds.opening) == (
        Decimal("58.15"),
        Decimal("41.85"),
        Decimal(100),
    )
    with pytest.raises(BrokerReadError):
        mapping.funds(Row({"fund_limit": rows[:1]}))


def test_arriving_shares_are_not_sellable() -> None:
    """A row of type T1 counts as arriving, not as held."""
    row = {"symbol": "NSE:SBIN-EQ", "holdingType": "T1", "quantity": 5, "remainingQuantity": 5}
    holding = mapping.holding(Row(row), BOOK)
    assert (holding.quantity, holding.t1_quantity) == (0, 5)
    held = mapping.holding(Row({**row, "holdingType": "HLD", "qty_t1": 2}), BOOK)
    assert (held.quantity, held.t1_quantity) == (3, 2)


def test_candles_are_indian() -> None:
    """Epochs become Indian times; a day's bar starts at midnight."""
    values: list[object] = [1795578300, 1, 2, Decimal("0.5"), 1, 10]
    bar = mapping.candle(values, 5)
    assert bar.start == datetime.fromtimestamp(1795578300, IST)
    assert bar.start.utcoffset() == timedelta(hours=5, minutes=30)
    assert mapping.candle(values, 1440).start.timetz().hour == 0
    with pytest.raises(BrokerReadError):
        mapping.candle(values[:3], 5)


def test_exit_of_everything_is_out_of_reach() -> None:
    """The SDK call that closes a whole account cannot be made by accident."""
    with pytest.raises(NotImplementedError):
        FyersSdk("http://127.0.0.1:1", "id", "token").exit_positions()


# --- masters -----------------------------------------------------------------------------------


def master_row(
    ticker: str,
    segment: int,
    *,
    kind: int = 0,
    tick: str = "0.05",
    underlying: str = "",
    expiry: str = "",
    updated: str = "2026-11-23",
    lot: int = 1,
) -> str:
    """Return one of the 21-column rows."""
    cells = [
        "101",
        "details",
        str(kind),
        str(lot),
        tick,
        "ISIN",
        "0915-1530",
        updated,
        expiry,
        ticker,
        "10",
        str(segment),
        "3045",
        underlying,
        "3045",
        "-1.0",
        "XX",
        "101",
        "None",
        "0",
        "0.0",
    ]
    return ",".join(cells) + "\n"


CASH = (
    master_row("NSE:SBIN-EQ", 10)
    + master_row("NSE:BAJAJ-AUTO-EQ", 10)
    + master_row("NSE:MODIRUBBER-BE", 10)
    + master_row("NSE:NIFTY50-INDEX", 10, kind=10, tick="0")
)
FUTURES = master_row(
    "NSE:SBIN26NOVFUT", 11, kind=13, underlying="SBIN", expiry="1795514400", lot=750
)
BSE = master_row("BSE:SBIN-A", 10) + master_row("BSE:BAJAJ-AUTO-A", 10)


def test_masters_are_named_as_kite_names_them() -> None:
    """Suffixes go, derivatives get their own exchange, indices their usual names."""
    texts = {"NSE_CM": CASH, "NSE_FO": FUTURES, "BSE_CM": BSE, "BSE_FO": ""}
    files = {name: text.encode() for name, text in texts.items()}
    rows = {str(row.id): row for row in parse_masters(files, TODAY)}
    assert {name: row.broker_symbol for name, row in rows.items()} == {
        "NSE:SBIN": "NSE:SBIN-EQ",
        "NSE:BAJAJ-AUTO": "NSE:BAJAJ-AUTO-EQ",
        "NSE:MODIRUBBER-BE": "NSE:MODIRUBBER-BE",
        "NSE:NIFTY 50": "NSE:NIFTY50-INDEX",
        "NFO:SBIN26NOVFUT": "NSE:SBIN26NOVFUT",
        "BSE:SBIN": "BSE:SBIN-A",
        "BSE:BAJAJ-AUTO": "BSE:BAJAJ-AUTO-A",
    }
    assert rows["NSE:SBIN"].has_derivatives
    assert not rows["BSE:SBIN"].has_derivatives
    assert rows["NSE:NIFTY 50"].segment is Segment.INDEX
    assert rows["NFO:SBIN26NOVFUT"].lot_size == 750
    assert str(rows["NFO:SBIN26NOVFUT"].expiry) == "2026-11-24"
    assert rows["NSE:SBIN"].tick_size == Decimal("0.05")


def test_ticks_in_paise_become_rupees() -> None:
    """A file without a tick below one counts in paise."""
    text = master_row("NSE:SBIN-EQ", 10, tick="5") + master_row("NSE:MRF-EQ", 10, tick="500")
    ticks = [row.tick_size for row in parse_masters({"NSE_CM": text.encode()}, TODAY)]
    assert ticks == [Decimal("0.05"), Decimal(5)]


@pytest.mark.row("D10")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>no</html>",
        FUTURES,
        CASH.replace("2026-11-23", "2026-11-10"),
        CASH.replace("2026-11-23", "soon"),
        CASH.replace("0.05", "cheap"),
    ],
)
def test_stale_or_damaged_master_is_malformed(text: str) -> None:
    """Yesterday's week or half a file is not used."""
    with pytest.raises(BrokerReadError) as caught:
        parse_masters({"NSE_CM": text.encode()}, TODAY)
    assert caught.value.fault is ReadFault.MALFORMED


@pytest.mark.row("D10")
def test_one_bad_file_or_row_leaves_the_rest() -> None:
    """A damaged file leaves its exchange out, a damaged row its instrument, and no more."""
    cash = CASH + master_row("NSE:ITC-EQ", 10, updated="") + master_row("NSE:BAD-EQ", 10, tick="x")
    files = {"NSE_CM": cash.encode(), "NSE_FO": FUTURES.encode(), "BSE_CM": b"<html>"}
    rows = {str(row.id): row for row in parse_masters(files, TODAY)}
    assert {"NSE:SBIN", "NSE:ITC", "NFO:SBIN26NOVFUT"} <= rows.keys()
    assert "NSE:BAD" not in rows
    assert not [name for name in rows if name.startswith("BSE:")]
    assert rows["NSE:SBIN"].has_derivatives
    assert not rows["NSE:ITC"].has_derivatives


@pytest.mark.row("D10")
def test_without_the_derivatives_file_the_shorter_session_holds() -> None:
    """What has derivatives is unknown then, and the earlier end of the session is the safe one."""
    rows = {str(row.id): row for row in parse_masters({"NSE_CM": CASH.encode()}, TODAY)}
    assert rows["NSE:SBIN"].has_derivatives
    assert not rows["NSE:NIFTY 50"].has_derivatives


def test_names_follow_a_master_that_is_loaded_anew() -> None:
    """A symbol that is new in the morning's master is known by its name at once."""
    old = parse_masters({"NSE_CM": CASH.encode()}, TODAY)
    table = {row.id: row for row in old}
    book = SymbolBook(table)
    assert str(book.named("NSE:NEWCO-EQ")) == "NSE:NEWCO-EQ"
    text = CASH.replace("NSE:BAJAJ-AUTO-EQ", "NSE:NEWCO-EQ")
    fresh = parse_masters({"NSE_CM": text.encode()}, TODAY)
    table.clear()
    table.update({row.id: row for row in fresh})
    assert str(book.named("NSE:NEWCO-EQ")) == "NSE:NEWCO"


@pytest.mark.row("D10")
@pytest.mark.parametrize(
    ("tt", "at"),
    [
        ("1795406400", "2026-11-23T09:30:00+05:30"),
        ("1795392000", None),  # midnight of UTC
        ("1795372200", None),  # midnight in India
        ("0", None),
    ],
)
def test_a_days_date_is_no_time_of_a_price(tt: str, at: str | None) -> None:
    """A quote whose time is the day's midnight has no time, instead of one that is hours old."""
    found = mapping.quote(SBIN, Row({"lp": Decimal(970), "tt": tt})).at
    assert found == (None if at is None else datetime.fromisoformat(at))
