"""No answer of a broker repeats a secret to whoever reads it (G2, I12)."""

from __future__ import annotations

import json

import pytest

from core.adapters.broker_http import Reply
from core.adapters.fyers import mapping as fyers
from core.adapters.redaction import Redaction
from core.adapters.zerodha import mapping as kite
from core.domain.outcome import Refused

pytestmark = [pytest.mark.row("G2"), pytest.mark.invariant("I12")]

SECRET, TOKEN = "canarysecret0000000000000000001a", "canarytoken-0.1_AbC"
REDACTION = Redaction((SECRET, TOKEN, "", "short"))
LOGIN = (
    b"POST /session/token HTTP/1.1\r\nHost: x\r\n\r\n"
    b"api_key=kitekey000000001&request_token=canarycode0001&checksum=canarysum000001"
)
FYERS_LOGIN = (
    b"POST /api/v3/validate-authcode HTTP/1.1\r\n\r\n"
    b'{"grant_type": "authorization_code", "appIdHash": "canaryhash0001", "code": "canarycode0001"}'
)


@pytest.mark.parametrize("sent", [b"", LOGIN, FYERS_LOGIN])
@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect `api_key` or `access_token` {TOKEN}.",
        f"token kitekey000000001:{TOKEN} is not valid, secret {SECRET}",
        f"{SECRET}{TOKEN}{SECRET}",
    ],
)
def test_an_account_s_secrets_are_taken_out(text: str, sent: bytes) -> None:
    """Whatever the broker repeats of them, in a refusal or in a row of an order."""
    body = json.dumps({"status": "error", "message": text, "rows": [text]}).encode()
    cleaned = REDACTION.clean(body, sent)
    assert b"canary" not in cleaned and b"***" in cleaned
    assert json.loads(cleaned)["status"] == "error"


@pytest.mark.parametrize(
    ("sent", "repeated"),
    [
        (LOGIN, "canarycode0001 and canarysum000001"),
        (FYERS_LOGIN, "canarycode0001 and canaryhash0001"),
    ],
)
def test_what_a_login_sent_is_taken_out(sent: bytes, repeated: str) -> None:
    """Code, checksum and hash are in no message of a login that failed.

    Whoever chose a code in an address cannot write into the chat by it.
    """
    cleaned = Redaction().clean(f'{{"message": "bad {repeated}"}}'.encode(), sent)
    assert b"canary" not in cleaned
    assert json.loads(cleaned)["message"] == "bad *** and ***"


def test_the_token_that_a_login_hands_out_stays() -> None:
    """Even where it is the one that the account had before."""
    body = json.dumps({"data": {"access_token": TOKEN, "user_id": "AB1234"}}).encode()
    assert REDACTION.clean(body, LOGIN) == body


def test_answers_without_a_secret_are_left_alone() -> None:
    """Not a byte of them is changed, and a short text is no secret."""
    body = b'{"data": [{"tradingsymbol": "SBIN", "note": "short"}]}' * 1000
    assert REDACTION.clean(body, LOGIN) is body


@pytest.mark.parametrize("mapping", [kite, fyers])
def test_a_refused_order_s_reason_holds_none(mapping: object) -> None:
    """The reason goes to the journal and the chat as it is read here."""
    raw = {"status": "error", "error_type": "InputException", "s": "error", "code": -99}
    body = json.dumps(raw | {"message": f"Bad price for {SECRET} {TOKEN}"}).encode()
    reply = Reply(400, {}, REDACTION.clean(body, b""))
    outcome = mapping.write_outcome(reply, None)  # type: ignore[attr-defined]
    assert isinstance(outcome, Refused)
    assert "canary" not in outcome.message and "Bad price" in outcome.message
