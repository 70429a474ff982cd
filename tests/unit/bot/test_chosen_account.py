"""Which account a chat shows: each user's own choice, kept with the store (row E2)."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from bot.conversation.services import ChatServices
from core.adapters.fyers import FYERS
from core.errors import UserError
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

pytestmark = pytest.mark.row("E2")
FIRST, SECOND = 11, 22


def services(engine: MemoryEngine) -> ChatServices:
    """Return the services of a bot over this engine; what the choice needs not is left out."""
    unused: Any = Mock()
    return ChatServices(
        unused,
        engine.control,
        engine.store,
        unused,
        engine.clock,
        unused,
        unused,
        unused,
        (),
        unused,
    )


async def test_each_user_has_a_choice_of_their_own() -> None:
    """One who switches changes nothing for the other, and a new controller remembers both."""
    engine = await MemoryEngine(ManualClock()).owned()
    with pytest.raises(UserError, match="no account yet"):
        await services(engine).selected(FIRST)
    main, other = await engine.connect("Main"), await engine.connect("Other", FYERS)
    await services(engine).select(SECOND, other.broker_id)
    again = services(MemoryEngine(engine.clock, store=engine.store, key=engine.key))
    chosen = [(await again.selected(chat)).broker_id for chat in (FIRST, SECOND)]
    assert chosen == [main.broker_id, other.broker_id]


async def test_a_choice_that_is_gone_is_the_default_again() -> None:
    """A disconnected account is shown to nobody."""
    engine = await MemoryEngine(ManualClock()).owned()
    main = await engine.connect("Main")
    await services(engine).select(FIRST, "zerodha_gone00")
    assert (await services(engine).selected(FIRST)).broker_id == main.broker_id
