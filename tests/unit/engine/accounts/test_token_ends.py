"""How the end of a token is found, and the one warning about it, on the market's clock (row B10)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from core.adapters.fyers import FYERS
from core.config import Settings
from core.domain.account import Account
from core.domain.notices.logins import TokenWarning
from core.domain.notices.stored import from_document
from core.domain.sessions import IST
from core.errors import BrokerReadError, ReadFault
from tests.fakes.memory_engine import CHAT, MemoryEngine, market_clock
from tests.fakes.scripted_broker import ScriptedAccount

EVENING = datetime(2026, 11, 23, 18, tzinfo=IST)
EARLY = datetime(2026, 11, 23, 7, 30, tzinfo=IST)
"""A Monday, after the hour at which tokens die: a login of now lasts until the next morning."""
HOUR = 3600.0


async def tick(engine: MemoryEngine) -> None:
    await engine.wiring.tokens.tick(engine.wiring.connections)


async def needs_login(engine: MemoryEngine, *accounts: Account) -> list[bool]:
    found = [await engine.control.accounts.get(one.broker_id) for one in accounts]
    return [one.needs_login for one in found]


def was_asked(account: ScriptedAccount) -> bool:
    """Whether a read has met the trouble that was put there."""
    return account.trouble is None


async def shown(engine: MemoryEngine) -> Sequence[tuple[str, ...]]:
    """Return the accounts of each warning that went to the chat, and () for each removal."""
    rows = await engine.store.find("outbox", {"chat_id": CHAT}, sort=[("seq", 1)])
    warnings = [(row["delivery"], from_document(row)) for row in rows]
    found = [(how, one) for how, one in warnings if isinstance(one, TokenWarning)]
    assert {how for how, _ in found} <= {"replace", "edit", "remove"}
    return [one.broker_ids for _, one in found]


async def delivered(engine: MemoryEngine) -> str:
    """Return how the newest message to the chat is delivered."""
    (row,) = await engine.store.find("outbox", {"chat_id": CHAT}, sort=[("seq", -1)], limit=1)
    return str(row["delivery"])


@pytest.mark.row("B8")
async def test_the_clock_ends_logins_at_six() -> None:
    """No broker is asked: a minute before six both are logged in, at six neither is."""
    engine = await MemoryEngine(market_clock(EVENING)).owned()
    accounts = [await engine.connect(), await engine.connect("Other", FYERS)]
    await engine.clock.advance(11 * HOUR + 59 * 60)
    await tick(engine)
    assert await needs_login(engine, *accounts) == [False, False]
    await engine.clock.advance(60)
    await tick(engine)
    assert await needs_login(engine, *accounts) == [True, True]


@pytest.mark.row("B8")
async def test_a_probe_before_the_session_finds_a_login_that_the_broker_has_ended() -> None:
    """A quarter of an hour before the open, once a day; the others and the unreachable stay."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    accounts = [await engine.connect(name) for name in ("Ended", "Well", "Away")]
    ended, _, away = (engine.at_broker(one) for one in accounts)
    ended.is_logged_out = True
    await engine.clock.advance(HOUR + 29 * 60)  # 08:59
    await tick(engine)
    assert await needs_login(engine, *accounts) == [False, False, False]
    away.trouble = BrokerReadError(ReadFault.UNREACHABLE, "502")
    await engine.clock.advance(60)
    await tick(engine)
    assert await needs_login(engine, *accounts) == [True, False, False]
    assert was_asked(away)
    assert await shown(engine) == [(accounts[0].broker_id,)]
    away.trouble = BrokerReadError(ReadFault.AUTH_REQUIRED, "ended later")
    await engine.clock.advance(60)
    await tick(engine)
    assert not was_asked(away)


@pytest.mark.row("B8")
async def test_an_end_is_told_once_however_often_it_is_found() -> None:
    """Probe, clock and broker's answer find the same end; a late answer to an old token none."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    account = await engine.connect()
    tokens = engine.wiring.tokens
    of_old = account.token_generated_at
    assert await tokens.mark_expired(account.broker_id, "one way")
    assert not await tokens.mark_expired(account.broker_id, "another")
    assert await shown(engine) == [(account.broker_id,)]
    await engine.clock.advance(1)
    await engine.log_in(account)
    assert not await tokens.mark_expired(account.broker_id, "late", generated_at=of_old)
    assert await needs_login(engine, account) == [False]


@pytest.mark.row("B6")
async def test_the_warning_returns_at_its_interval_and_more_often_about_the_open() -> None:
    """Nothing before its time; from 08:30 on in a third of it; none of it for what is not in use."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    account = await engine.connect()
    await engine.connect("Unused", enabled=False)
    for one in await engine.control.accounts.all():
        await engine.wiring.tokens.mark_expired(one.broker_id, "a test")
    warning = (account.broker_id,)
    first = len(await shown(engine))
    assert first and set(await shown(engine)) == {warning}
    interval = engine.wiring.tokens.interval()
    second = timedelta(seconds=1)
    await engine.clock.advance((interval - second).total_seconds())
    await tick(engine)
    assert len(await shown(engine)) == first
    await engine.clock.advance(1)
    await tick(engine)
    assert (await shown(engine))[first:] == [warning]
    assert await delivered(engine) == "replace", "it is the newest message again, and rings"
    await engine.clock.advance((EARLY.replace(hour=9) - engine.clock.market_now()).total_seconds())
    assert engine.wiring.tokens.interval() == interval / 3
    await tick(engine)
    known = len(await shown(engine))
    await engine.clock.advance((interval / 3).total_seconds())
    await tick(engine)
    assert len(await shown(engine)) == known + 1


@pytest.mark.row("B6")
@pytest.mark.parametrize(
    ("at", "is_often"),
    [
        ("2026-11-23T08:29", False),
        ("2026-11-23T08:30", True),
        ("2026-11-23T12:00", True),
        ("2026-11-23T18:00", False),
        ("2026-11-22T12:00", False),
    ],
    ids=["early", "about to open", "open", "evening", "sunday"],
)
async def test_the_warning_returns_thrice_as_often_while_it_matters_most(
    at: str, is_often: bool
) -> None:
    """From three quarters of an hour before the open to the close, on days of trading alone."""
    moment, usual = datetime.fromisoformat(at).replace(tzinfo=IST), timedelta(minutes=12)
    settings = Settings(warning_interval_s=usual.total_seconds())
    engine = MemoryEngine(market_clock(moment), settings=settings)
    assert engine.wiring.tokens.interval() == (usual / 3 if is_often else usual)


@pytest.mark.row("B6")
async def test_the_default_account_is_warned_about_although_nothing_runs_on_it() -> None:
    """Prices come through it, and the chat shows it first; another that is off can wait."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    default, unused = await engine.connect(enabled=False), await engine.connect("B", enabled=False)
    for one in (unused, default):
        await engine.wiring.tokens.mark_expired(one.broker_id, "a test")
    assert await shown(engine) == [(default.broker_id,)]


@pytest.mark.row("B6", "B10")
async def test_the_warning_goes_with_the_last_login_or_a_dismissal_until_the_next_end() -> None:
    """It loses each account that is refreshed; dismissed it is silent, and a new end says it anew."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    one, two = await engine.connect(), await engine.connect("Other", FYERS)
    tokens = engine.wiring.tokens
    await tokens.mark_expired(one.broker_id, "a test")
    await tokens.mark_expired(two.broker_id, "a test")
    assert (await shown(engine))[-1] == (one.broker_id, two.broker_id)
    await engine.clock.advance(1)
    await engine.log_in(one)
    assert (await shown(engine))[-1] == (two.broker_id,)
    await engine.log_in(two)
    assert (await shown(engine))[-1] == ()
    assert [a.parked_reason for a in await engine.control.accounts.all()] == ["", ""]

    await engine.clock.advance(1)
    await tokens.mark_expired(one.broker_id, "again")
    assert (await shown(engine))[-1] == (one.broker_id,)
    await tokens.dismiss_warning(engine.command())
    silent = len(await shown(engine))
    assert (await shown(engine))[-1] == ()
    await engine.clock.advance(8 * HOUR)
    await tick(engine)
    assert len(await shown(engine)) == silent
    await tokens.mark_expired(two.broker_id, "a new one")
    assert (await shown(engine))[-1] == (one.broker_id, two.broker_id)
