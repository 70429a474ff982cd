"""Without a domain: the broker's redirect ends in an SSH tunnel, or is pasted (B4, F7)."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from console.doctor.network import client, public_address, redirects
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.config import Settings
from core.domain.sessions import IST
from tests.fakes.brokers import roots_at
from tests.fakes.memory_engine import MemoryEngine, market_clock

EARLY = datetime(2026, 11, 23, 8, 30, tzinfo=IST)
TUNNEL = Settings(
    tunnel_url="http://127.0.0.1:8443", roots=roots_at(lambda name: f"https://{name}.example")
)


@pytest.mark.row("B4", "F7")
@pytest.mark.parametrize("is_pasted", [False, True])
async def test_login_without_a_domain(*, is_pasted: bool) -> None:
    """The chat gives the broker's address; what comes back by the tunnel, or by hand, completes."""
    engine = await MemoryEngine(market_clock(EARLY), settings=TUNNEL).owned()
    account = await engine.connect(logged_in=False)
    logins = engine.control.logins
    assert logins.redirect_url(ZERODHA) == "http://127.0.0.1:8443/broker/callback/zerodha"
    offer = await logins.offer(account.broker_id)
    assert offer.page_url is None
    nonce = dict(parse_qsl(urlsplit(str(offer.direct_url)).query))["nonce"]
    query = {ZERODHA.callback.nonce: nonce, ZERODHA.callback.code: "thecode"}
    if is_pasted:
        landed = f"{logins.redirect_url(ZERODHA)}?nonce={nonce}&request_token=thecode"
        await logins.paste(engine.command(), landed, None)
    else:
        await logins.callback(ZERODHA, query)
    assert not (await engine.control.accounts.get(account.broker_id)).needs_login


@pytest.mark.row("F7")
def test_doctor_names_the_tunnel_s_callbacks() -> None:
    """What the consoles must hold begins with the tunnel's near end."""
    lines = [one.text for one in redirects(TUNNEL)]
    for broker in (ZERODHA, FYERS):
        wanted = f"http://127.0.0.1:8443{broker.callback_path}"
        assert any(line.startswith(wanted) for line in lines)
    named = redirects(Settings(public_url="https://s.example", tunnel_url="http://127.0.0.1:1"))
    assert named[0].text.startswith("https://s.example/broker/callback/")


@pytest.mark.row("F7")
async def test_doctor_says_how_a_login_ends_without_a_domain() -> None:
    """By pasting; where the tunnel's near end is known, by its command, which needs no paste."""
    bare = Settings(roots=TUNNEL.roots)
    async with client() as http:
        found = [(await public_address(one, http))[0] for one in (TUNNEL, bare)]
    pasted = "none: logins are completed by pasting the address into the chat"
    assert [one.level for one in found] == ["ok", "ok"]
    assert found[1].text == pasted
    assert found[0].text.startswith(pasted)
    assert "ssh -N -L 8443:127.0.0.1:8443 to this machine" in found[0].text
