"""What is particular about Toy."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import date, time

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

__all__ = ["TOY"]


def _refusal(query: Mapping[str, str]) -> LoginFault | None:
    return LoginFault.DENIED if query.get("denied") else None


def _postback(body: Mapping[str, object]) -> Postback | None:
    user, order, mark = (body.get(name) for name in ("user", "order", "mark"))
    if not (isinstance(user, str) and isinstance(order, str) and isinstance(mark, str)):
        return None

    def is_signed_with(secret: bytes) -> bool:
        expected = hmac.new(secret, order.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), mark.encode())

    return Postback(user, is_signed_with)


TOY = BrokerProfile(
    name="toy",
    label="Toy",
    api_name="toy",
    roots=(ApiRoot("toy_api", "https://api.toy.example"),),
    console="console.toy.example",
    guide=(
        "Open console.toy.example and create an app.",
        "Set the redirect URL below.",
        "Keep the page open: next I ask for the token name and the token word.",
    ),
    key=CredentialForm(
        "token name",
        re.compile(r"toy-[a-z0-9]{4,20}"),
        "a Toy token name, like toy-ab12",
        example="toy-ab12",
    ),
    secret=CredentialForm(
        "token word",
        re.compile(r"[a-z]{8,40}"),
        "8 to 40 small letters",
        is_secret=True,
    ),
    log_out_hint="Open toy.example in this browser and log out.",
    tokens_die_at=time(3, 30),
    callback=CallbackForm(nonce="memo", code="ticket", refusal=_refusal),
    postback=PostbackForm(_postback, is_signed=True),
    cut_offs=(CutOff(Segment.DERIVATIVES, time(15, 0), date(2021, 1, 1)),),
)
