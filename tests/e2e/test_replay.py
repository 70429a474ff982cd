"""Whole days on two accounts through the whole engine, against figures reckoned by hand.

The figures are those of ``docs/replay-2021-05-10.md`` (recorded candles) and of
``tests/data/replay/README.md`` (a made-up day, always there): signals of closed bars, market orders at
the open of the next bar, stops that rest at the broker. Market time goes in lockstep, slot by slot.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.adapters.clock import MARKET_ZONE
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.account import Account
from core.domain.views import SizeKind
from strategy.registry import STRATEGIES
from tests.fakes.lockstep import Rig, ist, rig, standing
from tests.faults.reads import refreshed

ROOT = Path(__file__).resolve().parents[2]
ORB = "opening_range_breakout"
MADE_UP = ROOT / "tests" / "data" / "replay" / "2021-05-12"
CALLBACK = "http://127.0.0.1:8443/broker/callback/zerodha"
QUANTITY = Decimal(10)
ENTRY, STOP, SQUARE_OFF = "entry", "stop", "square-off"
SLOW_MACHINE_S = 600
NIGHTLY = {("recorded, minute bars", "memory"), ("made up, bars of five minutes", "server")}
"""The longest of four, and one on a server: its contract tests hold the store in memory to both."""

# The share of capital of the second account: 10 % of 2,50,000 rupees, twice, at the signal's close.
SHARE, MULTIPLIER = Decimal(10), Decimal(2)


@dataclass(frozen=True)
class Trade:
    """A fill reckoned by hand; ``share`` is the size of the account with a share of its capital."""

    at: str
    symbol: str
    side: str
    price: str
    why: str
    share: int


@dataclass(frozen=True)
class Day:
    """One replay and what must come of it; ``results`` are rupees of the two accounts."""

    date: str
    recording: str
    minutes: int
    until: str
    trades: tuple[Trade, ...]
    results: tuple[str, str]
    given: dict[str, str] = field(default_factory=dict)
    slots_without_data: tuple[str, ...] = ()
    sources: int = 1


DAYS = {
    "made up, minute bars until 10:30": Day(
        "2021-05-12",
        "made up",
        1,
        "10:30",
        (
            Trade("09:46", "SBIN", "BUY", "402.60", ENTRY, 124),
            Trade("10:06", "RELIANCE", "SELL", "1997.50", ENTRY, 25),
            Trade("10:30", "SBIN", "SELL", "404.55", SQUARE_OFF, 124),
            Trade("10:30", "RELIANCE", "BUY", "1996.20", SQUARE_OFF, 25),
        ),
        ("32.50", "274.30"),
        {"square_off": "10:30"},
        sources=8,
    ),
    "made up, bars of five minutes": Day(
        "2021-05-12",
        "made up",
        5,
        "15:00",
        (
            Trade("09:50", "SBIN", "BUY", "402.95", ENTRY, 124),
            Trade("10:10", "RELIANCE", "SELL", "1998.15", ENTRY, 25),
            Trade("11:20", "SBIN", "SELL", "398.00", STOP, 124),
            Trade("15:00", "RELIANCE", "BUY", "1981.00", SQUARE_OFF, 25),
        ),
        ("122.00", "-185.05"),
        {"bar_minutes": "5"},
        sources=4,
    ),
    "recorded, bars of five minutes": Day(
        "2021-05-10",
        "recorded",
        5,
        "15:00",
        (
            Trade("10:10", "SBIN", "BUY", "363.05", ENTRY, 137),
            Trade("14:40", "RELIANCE", "SELL", "1925.15", ENTRY, 25),
            Trade("15:00", "SBIN", "SELL", "361.15", SQUARE_OFF, 137),
            Trade("15:00", "RELIANCE", "BUY", "1925.95", SQUARE_OFF, 25),
        ),
        ("-27.00", "-280.30"),
        {"bar_minutes": "5", "entry_until": "15:00"},
        sources=4,
    ),
    "recorded, minute bars": Day(
        "2021-05-10",
        "recorded",
        1,
        "15:00",
        (
            Trade("10:03", "RELIANCE", "SELL", "1922.95", ENTRY, 25),
            Trade("10:08", "SBIN", "BUY", "361.95", ENTRY, 138),
            Trade("12:57", "RELIANCE", "BUY", "1945.60", STOP, 25),
            Trade("15:00", "SBIN", "SELL", "361.15", SQUARE_OFF, 138),
        ),
        ("-234.50", "-676.65"),
        slots_without_data=("12:29", "12:30"),
        sources=8,
    ),
}


def recording(day: Day) -> Path:
    """Return the directory of candles, or skip."""
    if day.recording == "made up":
        return MADE_UP
    beside = ROOT.parent / "shared" / "data" / "nse_minute"
    directory = Path(os.environ.get("SAARTHI_REPLAY_DIR") or beside)
    if not (directory / "SBIN.csv").is_file():
        pytest.skip("no recorded candles: set SAARTHI_REPLAY_DIR")
    return directory


@pytest.fixture
def store(place: str, request: pytest.FixtureRequest) -> str | None:
    """The store's address; None is in memory."""
    return str(request.getfixturevalue("embedded_store_uri")) if place == "server" else None


@pytest.mark.row("D2", "D3", "D4", "D7", "D9", "D10", "S2", "S3")
@pytest.mark.invariant("I1")
@pytest.mark.slow
@pytest.mark.timeout(SLOW_MACHINE_S)
@pytest.mark.parametrize(
    ("name", "place"),
    [
        pytest.param(*one, marks=pytest.mark.nightly if one in NIGHTLY else [])
        for one in [
            *((name, "memory") for name in DAYS),
            ("made up, bars of five minutes", "server"),
        ]
    ],
)
async def test_a_day_on_two_accounts_trades_as_reckoned(
    name: str, tmp_path: Path, store: str | None, request: pytest.FixtureRequest
):
    """Each order, fill, exit and result of both accounts is the one reckoned by hand.

    The brokers received each order once, and an account that runs nothing received none.
    """
    day = DAYS[name]
    start = ist(f"{day.date} 09:10")
    sandbox = standing(start, "--replay", str(recording(day)))
    request.addfinalizer(sandbox.end)
    async with rig(tmp_path, store, STRATEGIES, start, sandbox) as engine:
        fixed, share = await two_accounts(engine)
        await data_accounts(engine, day.sources)
        await engine.enable_strategy(ORB, **day.given)
        slots = await live_through(engine, day)

        expected = [slot for slot in slots if slot not in day.slots_without_data]
        assert await engine.runs(ORB) == expected
        assert len(await engine.notices("no_data")) == bool(day.slots_without_data)
        await check_account(engine, fixed, day, dict.fromkeys(day.trades, 10), day.results[0])
        await check_account(engine, share, day, {t: t.share for t in day.trades}, day.results[1])
        for account in engine.sources:
            assert engine.writes(account) == []
        for kind in ("order_rejected", "order_unresolved", "anomaly", "external_order"):
            assert await engine.notices(kind) == [], kind


async def two_accounts(engine: Rig) -> tuple[Account, Account]:
    """Connect an account with a fixed size and one with a share of its capital."""
    fixed = await engine.connect(ZERODHA, "Fixed", engine.app("kite", 0))
    share = await engine.connect(FYERS, "Share", engine.app("fyers", 1))
    assign = engine.system.control.strategy_settings.assign
    await assign(engine.command(), ORB, fixed.broker_id, size_value=QUANTITY)
    await assign(
        engine.command(),
        ORB,
        share.broker_id,
        size_kind=SizeKind.CAPITAL_SHARE,
        size_value=SHARE,
        multiplier=MULTIPLIER,
    )
    return fixed, share


async def data_accounts(engine: Rig, count: int) -> None:
    """Connect accounts that run nothing: each has candles at its own rate of three a second."""
    for number in range(count):
        app = {
            "broker": "kite",
            "api_key": f"dataonlykey{number:05d}",
            "api_secret": "d1" * 16,
            "user_id": f"DA{number:04d}",
            "user_name": f"Data {number}",
            "cash": 1000.0,
            "redirect_url": CALLBACK,
        }
        engine.sandbox.ask("POST", "/accounts", app)
        await engine.connect(ZERODHA, f"Data {number}", app, enable=False)


async def live_through(engine: Rig, day: Day) -> list[str]:
    """Go through the day slot by slot and the square-off; return the slots."""
    now, last = ist(f"{day.date} 09:30"), ist(f"{day.date} {day.until}")
    slots: list[str] = []
    # Recorded gaps stay gaps: the bar that a run would wait for is not going to come.
    engine.clock.waits_for_bars = False
    while now < last:
        source = engine.sources[len(slots) % len(engine.sources)].broker_id
        await engine.system.control.settings.set(engine.command(), "data_account", source)
        await engine.minute(now)
        slots.append(f"{now:%H:%M}")
        now += timedelta(minutes=day.minutes)
    await engine.minute(last)
    return slots


async def check_account(
    engine: Rig, account: Account, day: Day, sizes: dict[Trade, int], result: str
) -> None:
    """Compare the journal, the broker's book and what the broker received with the hand's."""
    wanted = sorted((t.at, t.symbol, t.side, sizes[t], Decimal(t.price)) for t in day.trades)
    found = [
        (clock(f.traded_at), f.instrument.symbol, str(f.side), f.quantity, f.price)
        for f in await engine.fills(account)
    ]
    assert sorted(found) == wanted, await engine.story(account)
    book = engine.book(account)
    theirs = [
        (clock(t["at"]), t["symbol"], t["side"], t["quantity"], Decimal(str(t["price"])))
        for t in book["trades"]
    ]
    assert sorted(theirs) == wanted
    assert {p["quantity"] for p in book["positions"]} == {0}
    assert paise(sum(p["pnl"] for p in book["positions"])) == Decimal(result)
    assert await refreshed(engine.worker(account)) == ""
    (pnl,) = await engine.system.control.views.pnl(account.broker_id)
    assert (paise(pnl.realised), pnl.unrealised) == (Decimal(result), Decimal(0))
    # The simulators' bill shares no code with the controller's charges.
    assert pnl.charges == Decimal(str(engine.bill(account)["total"]))
    assert await engine.held(account) == {}
    check_writes(engine, account, day, sizes)


def check_writes(engine: Rig, account: Account, day: Day, sizes: dict[Trade, int]) -> None:
    """The broker received an entry, its stop, and for a square-off a cancel and an exit; each once."""
    writes = engine.writes(account)
    tags = [w["tag"] for w in writes if w["action"] == "place"]
    assert len(tags) == len(set(tags))
    assert all(w["applied"] for w in writes)
    symbol_of = {o["order_id"]: o["symbol"] for o in engine.book(account)["orders"]}
    for symbol in {trade.symbol for trade in day.trades}:
        entry, out = [trade for trade in day.trades if trade.symbol == symbol]
        size = sizes[entry]
        wanted: list[tuple[str, str | None, str | None, int | None]]
        wanted = [("place", entry.side, "MARKET", size), ("place", out.side, "SL-M", size)]
        if out.why == SQUARE_OFF:
            wanted += [("cancel", None, None, None), ("place", out.side, "MARKET", size)]
        found = [
            (w["action"], w["side"], w["order_type"], w["quantity"])
            for w in writes
            if symbol_of[w["broker_order_id"]] == symbol
        ]
        assert found == wanted


def clock(moment: datetime | str | None) -> str:
    """Return the minute of a market time, ``HH:MM``."""
    assert moment is not None
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{at.astimezone(MARKET_ZONE):%H:%M}"


def paise(amount: Decimal | float | None) -> Decimal:
    """Return an amount in whole paise."""
    assert amount is not None
    return Decimal(str(amount)).quantize(Decimal("0.01"))
