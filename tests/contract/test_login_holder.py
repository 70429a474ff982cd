"""What the holder of a login link can do to the owner's chat and to other logins: next to nothing."""

from __future__ import annotations

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile
from tests.fakes.login_fixtures import login_world
from tests.fakes.login_world import LoginWorld, with_query

pytestmark = [pytest.mark.dates, pytest.mark.row("B3")]
pytest_plugins = ("tests.fakes.kite_fixtures",)
world = login_world

CANARY = "Your account is locked, call 555-0100 or open evil.example"
REFUSED = {
    ZERODHA: {"status": "error", "message": CANARY, "error": CANARY},
    FYERS: {"s": "error", "message": CANARY},
}
CODE = {ZERODHA: "request_token", FYERS: "auth_code"}

both = pytest.mark.parametrize("kind", [ZERODHA, FYERS], ids=str)


async def callback_of(world: LoginWorld, account: Account, **query: str | None) -> str:
    """Begin a login as the holder of the link, and return a callback with a query of theirs."""
    profile = account.broker
    begun = await world.begin(account)
    (row, *_) = await world.store.find(
        "logins", {"broker_id": account.broker_id, "state": "open"}, sort=[("created_at", -1)]
    )
    assert row["_id"] in begun
    root = world.root + profile.callback_path
    return with_query(root, **{profile.callback.nonce: row["_id"], **query})


@both
@pytest.mark.row("B1")
async def test_no_word_of_the_query_is_shown(world: LoginWorld, kind: BrokerProfile) -> None:
    """Sixty refusals and sixty wrong codes with free text: one card, none of the text anywhere."""
    account = await world.add(kind)
    for number in range(6):
        queries: tuple[dict[str, str], ...] = (REFUSED[kind], {CODE[kind]: CANARY})
        for query in queries:
            page = await world.http.get(await callback_of(world, account, **query))
            assert page.status_code >= 400
            assert "555-0100" not in page.text and "evil.example" not in page.text, number
    rows = await world.store.find("outbox", {})
    assert {(row["delivery"], row["key"]) for row in rows} == {
        ("edit", f"login:{account.broker_id}")
    }
    assert "evil" not in str([row["data"] for row in rows])


@both
async def test_a_link_has_three_open_nonces(world: LoginWorld, kind: BrokerProfile) -> None:
    """A fourth closes the oldest, which then completes nothing and tells nothing."""
    account = await world.add(kind)
    callbacks = [await world.come_back(account) for _ in range(4)]
    open_rows = await world.store.find("logins", {"state": "open"})
    assert len(open_rows) == 3
    oldest = await world.http.get(callbacks[0])
    assert oldest.status_code == 409
    assert await world.notices() == []
    assert (await world.http.get(callbacks[3])).status_code == 200


@both
async def test_success_closes_every_nonce_and_the_card(
    world: LoginWorld, kind: BrokerProfile
) -> None:
    """What was begun before the login completes nothing after it, and writes nothing."""
    account = await world.add(kind)
    await world.http.get(await callback_of(world, account, **REFUSED[kind]))
    early = await world.come_back(account)
    assert (await world.log_in(account)).status_code == 200
    told = await world.store.find("outbox", {}, sort=[("seq", 1)])
    assert [(row["delivery"], row["kind"]) for row in told] == [
        ("edit", "login_failed"),
        ("remove", "login_silent"),
        ("send", "login_done"),
    ]
    token = (await world.row(account))["access_token"]
    assert (await world.http.get(early)).status_code == 409
    assert (await world.row(account))["access_token"] == token
    assert len(await world.store.find("outbox", {})) == len(told)
    assert await world.store.find("logins", {"state": "open"}) == []
