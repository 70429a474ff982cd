"""Links for the holder of an account: opened day after day, until their end or revocation (row B11)."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from core.adapters.paper import PAPER_PROFILE
from core.adapters.zerodha import ZERODHA
from core.config import Settings
from core.domain.account import Account, AccountDraft
from core.domain.sessions import IST
from core.errors import AlreadyDone, LoginFault, LoginRefused, UserError
from tests.fakes.memory_engine import MemoryEngine, market_clock

pytestmark = pytest.mark.row("B11")

EARLY = datetime(2026, 11, 23, 8, 30, tzinfo=IST)


@pytest.fixture
async def engine() -> MemoryEngine:
    return await MemoryEngine(market_clock(EARLY)).owned()


async def given(engine: MemoryEngine, account: Account, days: int = 7) -> str:
    """Make a link; return its secret part."""
    _, address = await engine.control.links.make(engine.command(), account.broker_id, days)
    root, _, link = address.rpartition("/")
    assert root == "https://saarthi.example/login"
    return link


async def log_in_by(engine: MemoryEngine, link: str, code: str) -> dict[str, str]:
    """Complete a login at a link, without anything of the chat; return the callback's query."""
    address = await engine.control.logins.start(link)
    nonce = dict(parse_qsl(urlsplit(address).query))["nonce"]
    query = {ZERODHA.callback.nonce: nonce, ZERODHA.callback.code: code}
    await engine.control.logins.callback(ZERODHA, query)
    return query


async def is_ended(engine: MemoryEngine, link: str) -> bool:
    try:
        await engine.control.logins.linked_account(link)
    except LoginRefused as refused:
        return refused.fault is LoginFault.ACCOUNT_UNKNOWN
    return False


async def test_link_survives_logins_and_says_when_nothing_is_to_be_done(
    engine: MemoryEngine,
) -> None:
    """The chat's own link ends with the login; the holder's is good for the next morning too."""
    account = await engine.connect(logged_in=False)
    link = await given(engine, account)
    own = str((await engine.control.logins.offer(account.broker_id)).page_url).rpartition("/")[2]
    assert link != own
    assert not await engine.control.logins.is_given(own)
    assert await engine.control.logins.is_given(link)
    query = await log_in_by(engine, link, "code-of-monday")
    origin = await engine.control.logins.origin(ZERODHA, query)
    assert origin is not None
    assert (origin.is_shared, origin.is_done, origin.link) == (True, True, link)
    assert await is_ended(engine, own)
    assert not (await engine.control.logins.linked_account(link)).needs_login
    await engine.wiring.tokens.mark_expired(account.broker_id, "it ended")
    assert (await engine.control.logins.linked_account(link)).needs_login
    await log_in_by(engine, link, "code-of-tuesday")
    found = await engine.control.accounts.get(account.broker_id)
    assert not found.needs_login


async def test_link_ends_by_itself(engine: MemoryEngine) -> None:
    """At its end it opens nothing, is not listed, and is not what a failed login leads back to."""
    account = await engine.connect(logged_in=False)
    link = await given(engine, account, days=1)
    address = await engine.control.logins.start(link)
    nonce = dict(parse_qsl(urlsplit(address).query))["nonce"]
    await engine.clock.advance(timedelta(days=1).total_seconds())
    assert await is_ended(engine, link)
    with pytest.raises(LoginRefused):
        await engine.control.logins.start(link)
    assert await engine.control.links.open_links(account.broker_id) == []
    origin = await engine.control.logins.origin(ZERODHA, {ZERODHA.callback.nonce: nonce})
    assert origin is not None
    assert origin.link is None
    await given(engine, account)
    assert await engine.store.get("login_links", link) is None, "what has ended is not kept"


async def test_holder_of_a_link_closes_no_login_of_others(engine: MemoryEngine) -> None:
    """Three open nonces for each link: the owner's page, and each one that was given away."""
    account = await engine.connect(logged_in=False)
    own = str((await engine.control.logins.offer(account.broker_id)).page_url).rpartition("/")[2]
    first, second = await given(engine, account), await given(engine, account)

    async def begun(link: str) -> str:
        address = await engine.control.logins.start(link)
        return dict(parse_qsl(urlsplit(address).query))["nonce"]

    mine, theirs = await begun(own), await begun(second)
    for _ in range(5):
        await begun(first)
    rows = await engine.store.find("logins", {"state": "open"})
    assert len([row for row in rows if row["shared"] == first]) == 3
    assert {mine, theirs} < {row["_id"] for row in rows}
    query = {ZERODHA.callback.nonce: mine, ZERODHA.callback.code: "code-of-monday"}
    await engine.control.logins.callback(ZERODHA, query)
    assert not (await engine.control.accounts.get(account.broker_id)).needs_login


async def test_link_is_revoked_alone(engine: MemoryEngine) -> None:
    """Others stay; a login that began at it leads nowhere new; a disconnection ends all of them."""
    account = await engine.connect(logged_in=False)
    first, second = await given(engine, account), await given(engine, account, days=30)
    listed = await engine.control.links.open_links(account.broker_id)
    assert {one.link for one in listed} == {first, second}
    await engine.control.links.revoke(account.broker_id, first)
    await engine.control.links.revoke(account.broker_id, first)
    assert await is_ended(engine, first)
    assert not await is_ended(engine, second)
    await engine.control.registration.disconnect(engine.command(), account.broker_id)
    assert await is_ended(engine, second)
    assert await engine.store.find("login_links", {}) == [], "no address of a page is kept"


async def test_link_of_another_account_is_not_revoked(engine: MemoryEngine) -> None:
    """A button of one account ends no link of another."""
    mine, theirs = await engine.connect(), await engine.connect("Father")
    link = await given(engine, theirs)
    await engine.control.links.revoke(mine.broker_id, link)
    assert not await is_ended(engine, link)


async def test_what_cannot_be_made_is_explained(engine: MemoryEngine) -> None:
    """Five at a time; one for each tap; only the ends that are offered; none without an address.

    And none of a paper account, which has no login.
    """
    account = await engine.connect()
    with pytest.raises(UserError, match="cannot be made"):
        await given(engine, account, days=3650)
    draft = AccountDraft(PAPER_PROFILE, "Try", "", "")
    paper = await engine.control.registration.add(engine.command(), draft)
    with pytest.raises(UserError, match="cannot be made"):
        await given(engine, paper)
    command = engine.command()
    await engine.control.links.make(command, account.broker_id, 1)
    with pytest.raises(AlreadyDone):
        await engine.control.links.make(command, account.broker_id, 1)
    for _ in range(4):
        await given(engine, account)
    with pytest.raises(UserError, match="has 5 open links; revoke one of them first"):
        await given(engine, account)
    at_home = await MemoryEngine(market_clock(EARLY), settings=Settings(public_url=None)).owned()
    account = await at_home.connect(logged_in=False)
    assert not at_home.control.links.can_be_made
    with pytest.raises(UserError, match="needs a public address"):
        await given(at_home, account)


@pytest.mark.row("G1")
@pytest.mark.parametrize("how", ["revoked", "owner removed", "own page, owner removed"])
async def test_login_that_was_begun_ends_with_its_link(engine: MemoryEngine, how: str) -> None:
    """A revocation holds at once: the nonce that a holder has still open completes nothing."""
    account = await engine.connect(logged_in=False)
    link = await given(engine, account)
    if how.startswith("own page"):
        offer = await engine.control.logins.offer(account.broker_id)
        link = str(offer.page_url).rpartition("/")[2]
    address = await engine.control.logins.start(link)
    nonce = dict(parse_qsl(urlsplit(address).query))["nonce"]
    if how == "revoked":
        await engine.control.links.revoke(account.broker_id, link)
    else:
        row = {"_id": "7", "user_id": 7, "role": "owner", "by": "pairing"}
        await engine.store.insert("users", row)
        await engine.control.owners.remove(engine.command(), 7)
    query = {ZERODHA.callback.nonce: nonce, ZERODHA.callback.code: "code-of-monday"}
    before = len(await engine.store.find("outbox", {}))
    with pytest.raises(LoginRefused) as refused:
        await engine.control.logins.callback(ZERODHA, query)
    assert refused.value.fault is LoginFault.ACCOUNT_UNKNOWN
    assert (await engine.control.accounts.get(account.broker_id)).needs_login
    assert len(await engine.store.find("outbox", {})) == before, "nothing is written into the chat"
