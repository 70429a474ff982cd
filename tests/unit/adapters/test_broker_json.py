"""What a broker answers is kept only as far as it can be: no half characters, no endless numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.broker_http import Reply
from core.adapters.broker_json import decimal_of, parsed
from core.adapters.fields import Row
from core.adapters.fyers import mapping as fyers
from core.adapters.order_stream import json_frame
from core.adapters.zerodha import mapping as kite
from core.domain.outcome import Refused
from core.errors import BrokerReadError

BEYOND = [
    "1e400",
    "1e999999999",
    "-1e999999999",
    "1e-999999999",
    "9" * 4000,
    "0." + "1" * 400,
    "1e18",
]


@pytest.mark.matrix("N10")
@pytest.mark.parametrize(
    "number", [*BEYOND, 10**30, 10**18, Decimal("1e999999999"), "NaN", "Infinity"]
)
def test_number_beyond_every_quantity_is_no_number(number: Any) -> None:
    """Made a whole number, it would stop the process, or fail each commit that holds it."""
    for read in (Row({"quantity": number}).whole, Row({"quantity": number}).number):
        with pytest.raises(BrokerReadError):
            read("quantity")


@pytest.mark.parametrize(
    "number", ["0", "-0.05", "123456789012345678", "1e5", "0.30000000000000004", "1E-9", 0, 7]
)
def test_number_of_an_account_is_read_exactly(number: str | int) -> None:
    """Nothing is rounded on the way."""
    assert decimal_of(number) == Decimal(number)


@pytest.mark.matrix("N10")
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (rb'"a\ud800b"', "a\ufffdb"),
        (rb'"a\uDFFFb"', "a\ufffdb"),
        (rb'"\udc00\ud800"', "\ufffd\ufffd"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (b'"\xff"', "\ufffd"),
        ("😀".encode().join([b'"', b'"']), "😀"),
    ],
)
def test_half_a_character_is_the_sign_for_none(text: bytes, kept: str) -> None:
    """A store takes what is read, whatever the broker wrote."""
    found = parsed(text)
    assert found == kept
    bson.encode({"text": found})


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=40))
def test_every_text_that_is_read_can_be_kept(text: str) -> None:
    """Whole characters stay as they are."""
    found = parsed(json.dumps([text]).encode())[0]
    bson.encode({"text": found})
    if not any("\ud800" <= sign <= "\udfff" for sign in text):
        assert found == text


@pytest.mark.parametrize("mapping", [kite, fyers])
def test_reason_of_a_refusal_can_be_kept(mapping: Any) -> None:
    """It stands in the journal's row of the order: an order must not stay open for its words."""
    body = rb'{"status": "error", "error_type": "InputException", "s": "error", "code": -99, '
    outcome = mapping.write_outcome(Reply(400, {}, body + rb'"message": "Bad \ud800 price"}'), None)
    assert isinstance(outcome, Refused)
    bson.encode({"text": outcome.message})


def test_frame_of_the_stream_can_be_kept() -> None:
    """The same for what is pushed; a bomb of brackets is refused."""
    bson.encode(json_frame(r'{"ordertag": "\udc00"}'))
    with pytest.raises(ValueError, match="nested"):
        json_frame("[" * 100_000)


@pytest.mark.row("E5")
@pytest.mark.parametrize("mapping", [kite, fyers])
def test_words_of_a_broker_are_one_plain_line(mapping: Any) -> None:
    """Nothing hidden turns the direction of what the chat says around them, and no page of them."""
    body = {"status": "error", "error_type": "InputException", "s": "error", "code": -99}
    for text, shown in (
        ("a\u202eb\n\u200bc", "ab c"),
        ("x" * 9000, "x" * 500),
        ("Ok  42!", "Ok  42!"),
    ):
        reply = Reply(400, {}, json.dumps(body | {"message": text}).encode())
        outcome = mapping.write_outcome(reply, None)
        assert isinstance(outcome, Refused) and outcome.message == shown
