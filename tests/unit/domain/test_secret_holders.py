"""Whatever holds a secret shows none, in a text as in a traceback (row G2)."""

from __future__ import annotations

import traceback

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.account import AccountDraft, CarriedLogin, TokenStatus
from core.domain.legacy import LegacyLogin
from core.domain.route import Proxy, ProxyKind, Route
from core.ports.broker import Credentials, LoginGrant

CANARY = "canary0secret0value0of0kite00001"
ROUTE = Route(proxy=Proxy(ProxyKind.SOCKS5, "h", 1, f"user-{CANARY}", CANARY))
HOLDERS = (
    AccountDraft(ZERODHA, "Main", "a key", CANARY),
    CarriedLogin("tokens/fyers", CANARY, None, None, TokenStatus.EXPIRED, None),
    LegacyLogin("tokens/fyers", "a key", CANARY, CANARY, None, None, None),
    Credentials("zerodha_abc123", CANARY, CANARY, CANARY, ROUTE),
    LoginGrant(CANARY, "AB1234", "Asha"),
    ROUTE,
)


@pytest.mark.row("G2")
@pytest.mark.parametrize("holder", HOLDERS, ids=lambda one: type(one).__name__)
def test_no_holder_of_a_secret_shows_it(holder: object) -> None:
    """Neither its text, nor an error that was given it, nor what holds it."""
    shown = "".join(traceback.format_exception_only(ValueError(holder)))
    assert "canary" not in f"{holder} {holder!r} {[holder]} {shown}"
