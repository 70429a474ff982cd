"""On the embedded store, which is beta, a live account needs an explicit yes (F5)."""

from __future__ import annotations

import pytest

from core.adapters.brokers import PROFILES
from core.adapters.paper import PAPER_PROFILE
from core.config import Settings
from core.domain.account import AccountDraft
from core.domain.broker_profile import BrokerProfile
from core.errors import UserError
from tests.fakes.brokers import roots_at
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.memory_store import MemoryStore

pytestmark = pytest.mark.row("F5")
LIVE = [one for one in PROFILES if not one.is_paper]


class Embedded(MemoryStore):
    """The store in memory, under the name of the embedded server."""

    def server_kind(self) -> str:
        return "embedded"


async def an_engine(*, accepted: bool) -> MemoryEngine:
    settings = Settings(
        public_url="https://saarthi.example",
        accept_embedded_store_for_live=accepted,
        roots=roots_at(lambda name: f"https://{name}.example"),
    )
    return await MemoryEngine(ManualClock(), store=Embedded(), settings=settings).owned()


@pytest.mark.parametrize("broker", LIVE, ids=lambda one: one.name)
async def test_no_live_account_is_added_without_the_yes(broker: BrokerProfile) -> None:
    """Said before a key is typed, and again at the end; nothing is stored, and the way is named."""
    engine = await an_engine(accepted=False)
    registration = engine.control.registration
    with pytest.raises(UserError, match="SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE=yes"):
        registration.check_broker(broker)
    with pytest.raises(UserError, match="The built-in database is beta"):
        await registration.add(engine.command(), AccountDraft(broker, "Main", "a key", "a secret"))
    assert await engine.store.find("broker_accounts", {}) == []


async def test_the_yes_and_paper_go() -> None:
    """With the yes a live account is added; a paper account, which risks nothing, needs none."""
    engine = await an_engine(accepted=True)
    account = await engine.connect()
    assert account.display_name == "Main"
    (await an_engine(accepted=False)).control.registration.check_broker(PAPER_PROFILE)
