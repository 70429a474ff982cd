"""What is particular about Zerodha and its API, Kite Connect (facts/kite.md)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import date, datetime, time

from core.domain.broker_profile import (
    ApiRoot,
    BrokerProfile,
    CallbackForm,
    CredentialForm,
    CutOff,
    Postback,
    PostbackForm,
)
from core.domain.instrument import Segment
from core.domain.sessions import IST
from core.errors import LoginFault

__all__ = ["NOT_ADMITTED", "ZERODHA"]

NOT_ADMITTED = re.compile(r"not (?:enabled|allowed|authori[sz]ed|admitted)", re.IGNORECASE)
"""The words of a refusal of this one user."""
_LONGEST_READ = 200


def _refusal(query: Mapping[str, str]) -> LoginFault | None:
    """Return DENIED or NOT_ADMITTED, which Kite shows by text alone."""
    if query.get("status", "") in {"", "success"}:
        return None
    said = (query.get("message") or query.get("error") or "")[:_LONGEST_READ]
    return LoginFault.NOT_ADMITTED if NOT_ADMITTED.search(said) else LoginFault.DENIED


def _postback(body: Mapping[str, object]) -> Postback | None:
    """Read ``checksum = sha256(order_id + order_timestamp + api_secret)``.

    The signature covers two fields only, which is enough for a hint.
    """
    names = ("order_id", "order_timestamp", "checksum", "user_id")
    texts = [value for name in names if isinstance(value := body.get(name), str) and value]
    if len(texts) != len(names):
        return None
    order_id, timestamp, checksum, user_id = texts

    def is_signed_with(secret: bytes) -> bool:
        expected = hashlib.sha256((order_id + timestamp).encode() + secret).hexdigest()
        return hmac.compare_digest(expected.encode(), checksum.lower().encode())

    return Postback(user_id, is_signed_with, checksum.lower(), _moment(timestamp))


def _moment(text: str) -> datetime | None:
    """Read a signed ``YYYY-MM-DD HH:MM:SS`` (facts/kite.md)."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=IST)
    except ValueError:
        return None


ZERODHA = BrokerProfile(
    name="zerodha",
    label="Zerodha",
    api_name="kite",
    roots=(
        ApiRoot("kite_api", "https://api.kite.trade"),
        ApiRoot("kite_login", "https://kite.zerodha.com"),
    ),
    console="developers.kite.trade",
    guide=(
        (
            "Open developers.kite.trade, log in and create an app of the type Connect (its monthly "
            "plan includes market data; the free Personal type has none)."
        ),
        "In the app, set the redirect URL below.",
        (
            "In your profile on the same site, register the static IP of the server that I run on. "
            "Zerodha refuses orders from any other address."
        ),
        "Keep the page open: next I ask for the API key and the API secret.",
    ),
    key=CredentialForm(
        "API key",
        re.compile(r"[A-Za-z0-9]{16}"),
        "a Kite API key: 16 letters and digits, no spaces (the secret, which has 32, comes next)",
    ),
    secret=CredentialForm(
        "API secret",
        re.compile(r"[A-Za-z0-9]{32}"),
        "32 letters and digits, copied whole from the developer console (the key has 16)",
        is_secret=True,
    ),
    console_questions=(
        "Is the app of the type Connect, and is its monthly plan paid?",
        "Is its redirect URL exactly {redirect} ?",
        "Are the user ids of all accounts that use the app among those it admits?",
        "Is {addresses} among the IP addresses of your developer profile?",
    ),
    log_out_hint="Open kite.zerodha.com in this browser, tap the profile, then Logout.",
    exit_hint="Open Kite: Orders, cancel what is open; then Positions, Exit all.",
    tokens_die_at=time(6, 0),
    callback=CallbackForm(nonce="nonce", code="request_token", refusal=_refusal),
    postback=PostbackForm(_postback, is_signed=True),
    stream=ApiRoot("kite_stream", "wss://ws.kite.trade"),
    cut_offs=(
        # Ten minutes before Kite's published 15:25.
        CutOff(Segment.DERIVATIVES, time(15, 15), date(2021, 1, 1)),
    ),
)
