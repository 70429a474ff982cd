"""The brokers' words of a refusal, and the cause that they say."""

from __future__ import annotations

import json

import pytest

from core.adapters.broker_http import Reply
from core.adapters.fyers import mapping as fyers
from core.adapters.rejection_words import cause_of, largest_in
from core.adapters.zerodha import mapping as zerodha
from core.domain.outcome import Cause, Refusal, Refused

pytestmark = pytest.mark.row("R3")


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("RMS:Blocked for nse_cm MIS Remarks: MIS PRODUCT TYPE BLOCKED block type: ALL", "product"),
        ("Intraday orders are not allowed for this stock.", "product"),
        ("MIS orders are blocked for SUZLON. Use CNC.", "product"),
        ("Product type not allowed in this segment", "product"),
        ("RMS:Rule: Check T2T scrip", "instrument"),
        ("New positions are prohibited: the security is in the F&O ban period", "instrument"),
        ("Trading in this instrument is restricted (GSM stage 4)", "instrument"),
        ("The contract has expired", "instrument"),
        (
            "Insufficient funds. Required margin is 2000.00. Check the orderbook for open orders.",
            "margin",
        ),
        ("RED:Margin Shortfall:INR 812.00 Available:INR 5.00 for C-XA1 [FYERS_RISK_CUG]", "margin"),
        ("RMS:Margin Exceeds,Cash Available:0.00,Additional Margin Required:815.1", "margin"),
        ("Insufficient stock holding to sell", "holding"),
        ("The order price is out of the current circuit limits.", "band"),
        ("RMS:Rule: Check circuit limit including square off order exceeds", "band"),
        ("Order price is outside the Limit Price Protection range", "band"),
        ("Quantity exceeds the freeze limit of 100 for SBIN.", "freeze"),
        ("Quantity is above the freeze quantity of 1800", "freeze"),
        ("Order quantity 2000 exceeds the maximum allowed quantity of 1,755", "freeze"),
        ("Trigger price for stoploss sell orders should be lower than the last price", "trigger"),
        ("Stop price should be greater than LTP", "trigger"),
        ("Markets are closed right now. Use GTT or AMO.", "closed"),
        ("Something that nobody has seen before", "other"),
        ("", "other"),
    ],
)
def test_words_say_their_cause(message: str, cause: str):
    """Words as they are known from the brokers, and near them, are put to their cause."""
    assert cause_of(message).value == cause


@pytest.mark.parametrize(
    ("message", "largest"),
    [
        ("Quantity exceeds the freeze limit of 100 for SBIN.", 100),
        ("Quantity is above the freeze quantity of 1800", 1800),
        ("Order quantity 2000 exceeds the maximum allowed quantity of 1,755", 1755),
        ("Quantity freeze", None),
        ("Insufficient funds. The limit is 100.", None),
    ],
)
def test_the_largest_quantity_is_read(message: str, largest: int | None):
    """A refusal for the freeze names the limit; other numbers are not taken for one."""
    assert largest_in(message) == largest


def asas_json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def as_json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_both_brokers_classify_a_refusal():
    """A refusal of the answer and one of the day's orders carry their cause."""
    words = "Quantity exceeds the freeze limit of 100 for SBIN."
    kite = zerodha.write_outcome(
        Reply(400, {}, as_json(status="error", error_type="InputException", message=words))
    )
    assert kite == Refused(Refusal.REJECTED, words, cause=Cause.FREEZE, largest=100)
    other = fyers.write_outcome(Reply(400, {}, as_json(s="error", code=-310, message=words)), 1101)
    assert other == Refused(Refusal.REJECTED, words, cause=Cause.FREEZE, largest=100)
