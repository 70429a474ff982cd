"""What sounded wrong when each message was read aloud: a name twice, a figure without its unit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.views.accounts import held_line
from bot.views.dashboard import ALL, pnl_screen
from bot.views.lines import warning_line
from bot.views.panic import panic_question
from bot.views.width import fits_line
from core.domain.goal import Goal, NoRest
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.notices.accounts import AddressWrong, Anomaly
from core.domain.notices.backups import RestoredCompared, StoreRestored
from core.domain.notices.exits import LedgersLeft
from core.domain.notices.logins import LoginFailed, LoginSilent
from core.domain.notices.notice import Notice
from core.domain.notices.positions import ClosedByHand, IntradayLedgerVoid
from core.domain.notices.protection import StopChanged
from core.domain.protection import ProtectionFacts, protection_of
from core.domain.views import ExposureView, PanicAccount, PanicQuestion, PnlView
from core.errors import LoginFault
from tests.fakes.rendered import ACCOUNT, text_of
from tests.fakes.views import AT, a_position, an_account

SBIN = InstrumentId("NSE", "SBIN")
KEY, STRATEGY = ACCOUNT.broker_id, "moving_average_crossover"


def test_profit_of_one_account_names_it_once() -> None:
    """Its title has the name already; of all accounts each line needs one."""
    profit = [PnlView(ACCOUNT.broker_id, ACCOUNT.label, Decimal(5), Decimal(2), Decimal(1))]
    one = pnl_screen(profit, (ACCOUNT,), ACCOUNT.broker_id, None)
    assert one.text.count(ACCOUNT.label) == 1
    assert "+₹7.00" in one.text
    assert pnl_screen(profit, (ACCOUNT,), ALL, None).text.count(ACCOUNT.label) == 1


@pytest.mark.parametrize(
    "notice",
    [
        LoginFailed(KEY, LoginFault.DENIED),
        LoginSilent(KEY),
        AddressWrong(KEY, "the proxy does not answer", ""),
        LedgersLeft(KEY, STRATEGY, ("NSE:SBIN MIS +10",)),
        StoreRestored(AT, 2),
        RestoredCompared(KEY, 0),
    ],
    ids=lambda one: one.kind,
)
async def test_title_is_one_line_of_a_phone(notice: Notice) -> None:
    """What it is, and below it whose, when both have no room beside one another."""
    title, below, *_ = (await text_of(notice)).split("\n")
    assert fits_line(f"<b>{title}</b>")
    assert "Zerodha - Main" in title + below or isinstance(notice, StoreRestored)


@pytest.mark.parametrize(
    ("notice", "said"),
    [
        (
            IntradayLedgerVoid(KEY, (f"{STRATEGY}: +5 NSE:SBIN (MIS)",)),
            "• +5 SBIN (MIS)\n   moving average crossover\n",
        ),
        (
            Anomaly(KEY, "buy 10 NSE:SBIN: it was rejected and the broker says filled"),
            "\nBuy 10 SBIN: it was rejected and the broker says filled.\n",
        ),
        (StopChanged(KEY, "NSE:SBIN", 3, Decimal(810), Decimal(800)), "for 3 units at ₹800.00"),
        (
            ClosedByHand(KEY, "NSE:SBIN", "MIS", ("orb",), 5, Decimal(970), 1),
            "Held now by orb: 1 unit",
        ),
        (
            LedgersLeft(KEY, STRATEGY, ("NSE:SBIN MIS +10",)),
            "Moving average crossover does not look after these (it is not in this program",
        ),
    ],
    ids=lambda one: getattr(one, "kind", ""),
)
async def test_notice_reads_as_a_sentence(notice: Notice, said: str) -> None:
    """Names without underscores, sentences with their ends, units with their figures."""
    assert said in await text_of(notice)


@pytest.mark.parametrize("held", [1, 2])
def test_what_is_held_without_a_login_is_counted(held: int) -> None:
    """One position is it, two are them."""
    positions = (a_position(ACCOUNT),) * held
    line = held_line(ExposureView(ACCOUNT, positions, (), (), True))
    assert line is not None
    assert f"close nor protect {'it' if held == 1 else 'them'}. Stops" in line


def test_panic_counts_no_holdings_where_there_are_none() -> None:
    """A nought in brackets is no information."""
    account = an_account()
    counts = PanicAccount(account, 1, 0, 0, is_paused=False, is_read=True)
    asked = panic_question(PanicQuestion((counts,), None), [account.broker_id], with_holdings=False)
    assert "Not touched: delivery positions and holdings, with their stops." in asked


def test_stop_that_is_watched_has_its_price_in_rupees() -> None:
    """A warning names prices as every other line does, and instruments without their exchange."""
    ledger = Ledger(STRATEGY, KEY, SBIN, Product.MIS, 10, Decimal(810))
    goal = Goal(
        ledger.key,
        STRATEGY,
        KEY,
        SBIN,
        Product.MIS,
        10,
        Decimal(805),
        "run",
        can_rest=False,
        no_rest=NoRest.REFUSED,
    )
    found = protection_of(ProtectionFacts(ledger, goal, (), now=AT))
    assert "its stop at ₹805.00 is watched here" in found.how
    assert "⚠️ SBIN:" in warning_line(f"{SBIN}: {found.warning}")
