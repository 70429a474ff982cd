"""Every notice has words, with whatever it names gone or strange."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.notices.render import render
from bot.views.callbacks import LIMIT_BYTES
from core.domain.notices.accounts import (
    AccountParked,
    AccountReadable,
    AccountUnreadable,
    AddressRight,
    AddressWrong,
    Anomaly,
    OrdersLeftResting,
    PositionShrunk,
    RowsUnread,
    SoftwareStop,
    SquareOffAlarm,
)
from core.domain.notices.backups import BackupMissed, RestoredCompared, StoreRestored
from core.domain.notices.calendar import CalendarEnds, DayUnknown, YearDerived
from core.domain.notices.exits import ExitStuck, ExitThrough, ExitWaits, LedgersLeft
from core.domain.notices.limits import (
    DailyLossBlind,
    DailyLossReached,
    RoundTripFailed,
    RoundTripPassed,
)
from core.domain.notices.logins import (
    LoginDone,
    LoginFailed,
    LoginReopened,
    LoginSilent,
    MorningRound,
    TokenWarning,
)
from core.domain.notices.notice import Notice
from core.domain.notices.orders import (
    CancelRefused,
    EntriesDropped,
    EntryMissed,
    ExternalOrder,
    OrderRejected,
    OrderResolved,
    OrderRevived,
    OrderUnresolved,
    OrderUpdate,
)
from core.domain.notices.panic import PanicCard, PanicOver
from core.domain.notices.positions import (
    ClosedByHand,
    ContractEnds,
    ExitUnproved,
    IntradayLedgerVoid,
    LedgersCrossed,
    OrderUnlisted,
    PositionConverted,
    PositionDisputed,
    UnownedPosition,
)
from core.domain.notices.prices import PricesPolled, PricesPushed, SourceSilent
from core.domain.notices.protection import (
    AlarmOver,
    ExitDenied,
    ProtectedAgain,
    StopCancelled,
    StopChanged,
    StopHit,
    StopRestored,
    Unprotected,
)
from core.domain.notices.result_guards import GuardBlind, GuardFired, GuardPricesOld
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.notices.runs import (
    DataMissing,
    InstrumentGone,
    RunCard,
    RunFailed,
    RunsTogether,
    SlotMissed,
    StrategyDisabled,
)
from core.domain.notices.summary import DaySummary
from core.domain.notices.system import (
    ClockRight,
    ClockWrong,
    InstrumentsOld,
    KeysInDanger,
    KeysSafe,
    MemoryDiffered,
    OwnerRemoved,
    PollerTrouble,
    ServiceCrashed,
    Started,
    Text,
    Undelivered,
)
from core.domain.order import Side
from core.domain.result_guard import GuardScope, Reached, ScopeKind
from core.errors import LoginFault
from tests.fakes.bot_engine import BotEngine
from tests.fakes.rendered import ACCOUNT, ORDER, TAGS, an_engine, lookups
from tests.fakes.views import AT


def notices(word: str) -> tuple[Notice, ...]:
    """Return a notice of each kind, with ``word`` wherever a text comes from outside."""
    account, order = ACCOUNT.broker_id, ORDER.key
    return (
        RunCard("run"),
        RunsTogether(("run", "other")),
        SlotMissed(word, AT, 61),
        DataMissing(word, word, others_run=True),
        RunFailed(word, word),
        StrategyDisabled(word, 3, word),
        InstrumentGone(word, word, word),
        OrderRejected(order),
        OrderUnresolved(order),
        OrderResolved(order),
        OrderRevived(order),
        OrderUpdate(order),
        ExternalOrder(account, order),
        CancelRefused(order),
        EntriesDropped(account, (order, word)),
        EntryMissed(order),
        PositionClosed(
            account, ClosedBy.STOP, word, word, word, Side.SELL, 3, Decimal(361), Decimal(-19)
        ),
        LoginDone(account, word),
        LoginFailed(account, LoginFault.DENIED, word),
        LoginReopened(account),
        LoginSilent(account),
        MorningRound(),
        TokenWarning((account, "gone_account")),
        AccountParked(account, word, (order, word)),
        AccountUnreadable(account, word, AT),
        AccountReadable(account, 200),
        AddressWrong(account, word, word),
        AddressRight(account, word),
        SquareOffAlarm(account, word, (word,)),
        SoftwareStop(account, word, word),
        PositionShrunk(account, word, word, 3),
        OrdersLeftResting(account, 2, word),
        RowsUnread(account, "order", 2, (word,), (order, word)),
        Anomaly(account, word),
        ClosedByHand(account, word, word, (word,), 5, Decimal("970.50"), 0),
        PositionDisputed(account, word, word, 5, 0),
        PositionConverted(account, word, word, word, 5, (word,)),
        IntradayLedgerVoid(account, (word,)),
        UnownedPosition(account, word, word, -5),
        ExitUnproved(account, order),
        OrderUnlisted(account, order),
        LedgersCrossed(account, word, word, 4, Decimal("970.50"), (word,)),
        ContractEnds(account, word, word, "NRML", 750, AT),
        ExitDenied(account, word, word, has_stop=True),
        StopRestored(account, word, Decimal("810.05"), word),
        StopChanged(account, word, 3, Decimal(810), Decimal(800)),
        StopCancelled(account, word, "MIS", Decimal(810), word),
        StopHit(account, word, word, -3, Decimal(810), word),
        Unprotected(account, word, word, "MIS", 3, word, can_put_back=True),
        ProtectedAgain(account, word, word, 3, word, AT, word),
        AlarmOver(account, "unprotected", word, word, AT),
        ExitWaits(account, word, opens_at=AT),
        ExitStuck(account, word, word, word),
        ExitThrough(account, word),
        LedgersLeft(account, word, (word,), word),
        GuardFired(
            GuardScope(ScopeKind.STRATEGY, account, "orb").key,
            Reached.FLOOR,
            Decimal(5000),
            Decimal(5100),
            Decimal(140),
            Decimal(4960),
            Decimal(11000),
            3,
            14,
            *((account,), ("gone_account",), (word,)),
        ),
        GuardBlind(word, account, word),
        GuardPricesOld(40),
        PanicCard("000001"),
        PanicOver("000001"),
        DailyLossReached(account, Decimal("-1240.5"), Decimal(1000), AT, (account,)),
        DailyLossBlind(account, word, Decimal(-40)),
        RoundTripPassed(account, word, 1, Decimal(812), Decimal("811.5")),
        RoundTripFailed(account, word, word),
        CalendarEnds("2027-12-31", 1),
        YearDerived(2027, word),
        DayUnknown("2028-01-03", word),
        PricesPolled(word, word),
        PricesPushed(),
        SourceSilent(word, has_others=False),
        BackupMissed(word, AT),
        StoreRestored(AT, 2, had_panic=True, kept=(word,), dropped=(word, word)),
        RestoredCompared(account, 3, (word, word), 2),
        DaySummary(
            "2026-11-23",
            (account, "gone_account"),
            (4, 0),
            (Decimal("1240.50"), Decimal(0)),
            (Decimal("134.20"), Decimal(0)),
            (Decimal(-200), Decimal(0)),
            ("gone_account",),
            (),
            AT,
        ),
        PollerTrouble(word),
        InstrumentsOld(word, word, word),
        Started(3, (word,)),
        ServiceCrashed(word, word),
        Undelivered(AT, 2, 3, (word,)),
        ClockWrong(-40),
        ClockRight(),
        KeysInDanger(word),
        KeysSafe(),
        MemoryDiffered("orders", 2),
        OwnerRemoved(2002, word, word),
        Text(word),
    )


def test_no_notice_is_left_out_below() -> None:
    """The samples are of every member of the union, so that what holds for them holds for all."""
    assert [type(one) for one in notices("x")] == list(get_args(Notice))


@settings(deadline=None)
@given(word=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(str.strip))
async def test_every_notice_is_rendered_well_formed(word: str):
    """No outside text breaks the HTML; every button's data fits."""
    engine = await an_engine()
    for notice in notices(word):
        screen = await render(notice, lookups(engine))
        rest = TAGS.sub("", screen.text)
        assert rest.strip() and "<" not in rest and ">" not in rest, notice
        for row in screen.rows:
            for one in row:
                data = one.callback_data
                assert data is None or len(str(data).encode()) <= LIMIT_BYTES, notice


@pytest.mark.parametrize("notice", notices("x"), ids=lambda one: one.kind)
async def test_what_a_notice_names_may_be_gone(notice: Notice):
    """The account, order or run was cleaned away: the notice still has words."""
    screen = await render(notice, lookups(BotEngine()))
    assert screen.text.strip()
