"""What is particular about Fyers (facts/fyers.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time

from core.adapters.fyers.legacy import LEGACY
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
from core.errors import LoginFault

__all__ = ["FYERS", "NOT_ADMITTED"]

NOT_ADMITTED = re.compile(
    r"not (?:enabled|allowed|authori[sz]ed|admitted|activated)", re.IGNORECASE
)
"""The words of a refusal of this one user."""
_LONGEST_READ = 200
_USER = ("clientId", "client_id", "fy_id", "fyId")
"""No documentation names the field; each of these was seen in some answer of the API."""


def _refusal(query: Mapping[str, str]) -> LoginFault | None:
    """Return DENIED or NOT_ADMITTED, which Fyers shows by text alone."""
    if query.get("s", "") in {"", "ok"}:
        return None
    said = query.get("message", "")[:_LONGEST_READ]
    return LoginFault.NOT_ADMITTED if NOT_ADMITTED.search(said) else LoginFault.DENIED


def _postback(body: Mapping[str, object]) -> Postback:
    return Postback(next((str(body[name]) for name in _USER if body.get(name)), None))


FYERS = BrokerProfile(
    name="fyers",
    label="Fyers",
    api_name="fyers",
    roots=(
        ApiRoot("fyers_api", "https://api-t1.fyers.in"),
        ApiRoot("fyers_masters", "https://public.fyers.in", is_public=True),
    ),
    console="myapi.fyers.in",
    guide=(
        "Open myapi.fyers.in, log in and create an app. Allow orders and market data.",
        "Set the redirect URL below.",
        (
            "Register the static IP of the server that I run on for this app. Fyers refuses orders "
            "from any other address."
        ),
        "Keep the page open: next I ask for the App ID (it ends in -100) and the Secret ID.",
    ),
    key=CredentialForm(
        "App ID",
        re.compile(r"[A-Za-z0-9]{4,20}-[0-9]{3}"),
        "a Fyers App ID with its suffix, like AB1CD2EF3G-100",
        where="with its ending",
        example="AB1CD2EF3G-100",
        is_upper=True,
    ),
    secret=CredentialForm(
        "Secret ID",
        re.compile(r"[A-Za-z0-9]{6,64}"),
        "6 to 64 letters and digits, copied whole from the developer console (no App ID: that has "
        "a dash)",
        is_secret=True,
    ),
    console_questions=(
        "Is the app active, and does it allow orders and market data?",
        "Is its redirect URL exactly {redirect} ?",
        "Is {addresses} among the IP addresses of the app?",
    ),
    log_out_hint="Open fyers.in in this browser, tap the profile, then Logout.",
    exit_hint="Open the Fyers app: Orders, cancel what is pending; then Positions, Exit all.",
    tokens_die_at=time(6, 0),
    names_need_master=True,
    callback=CallbackForm(nonce="state", code="auth_code", refusal=_refusal),
    # Fyers signs nothing, and bars an address for half an hour after answers other than 200.
    postback=PostbackForm(_postback, is_signed=False),
    legacy=LEGACY,
    stream=ApiRoot("fyers_stream", "wss://socket.fyers.in"),
    cut_offs=(
        # Ten minutes before Fyers' published 15:15.
        CutOff(Segment.DERIVATIVES, time(15, 5), date(2021, 1, 1)),
    ),
)
