"""A slow broker is no silence: what is known, or a word, comes at once, then the answer (row E2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bot.conversation.dispatch import attempt
from bot.conversation.patience import WAITING, unless_soon
from bot.conversation.visit import Visit
from bot.handlers.dashboard import show_dashboard
from bot.views.screen import Screen
from core.domain.mode import TradingMode
from core.domain.views import DashboardView, PnlView
from core.errors import UserError
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("E2")

MAIN = an_account()
AT_ONCE, NEVER = 0.001, 0.0
SAID = "the broker did not answer in time"


class Messenger:
    """Telegram: keeps what stands in the chat, and wakes who waits for a word."""

    def __init__(self) -> None:
        self.chat: dict[int, str] = {}
        self.seen: list[str] = []
        self.spoke = asyncio.Event()

    async def send_message(self, _chat_id: int, text: str, **_: object) -> Any:
        number = len(self.seen) + 1
        self._put(number, text)
        return SimpleNamespace(message_id=number)

    async def edit_message_text(self, text: str, *, message_id: int, **_: object) -> None:
        self._put(message_id, text)

    async def delete_message(self, _chat_id: int, message_id: int) -> bool:
        del self.chat[message_id]
        return True

    def _put(self, number: int, text: str) -> None:
        self.chat[number] = text
        self.seen.append(text)
        self.spoke.set()


class Views:
    """An account whose broker answers when it is let; then the figures are newer."""

    def __init__(self, answers: asyncio.Event, trouble: str = "") -> None:
        self.answers, self.trouble, self.minute = answers, trouble, 15

    async def look(self, _broker_id: str) -> str:
        await self.answers.wait()
        self.minute += not self.trouble
        return self.trouble

    async def dashboard(self, _broker_id: str) -> DashboardView:
        return DashboardView(
            account=replace(MAIN),
            effective_mode=TradingMode.NORMAL,
            as_of=datetime(2026, 9, 21, 4, self.minute, tzinfo=UTC),
            funds=None,
            pnl=PnlView(MAIN.broker_id, MAIN.label, Decimal(1), Decimal(2), Decimal(3)),
            positions=(),
            working=(),
            trades=(),
            holdings=(),
            incomplete=(),
        )


def visit_of(messenger: Messenger, patience_s: float, views: Views | None = None) -> Visit:
    async def one(*_: object) -> Any:
        return MAIN

    async def several() -> Any:
        return (MAIN,)

    accounts = SimpleNamespace(get=one, all=several)
    return Visit(
        services=SimpleNamespace(  # type: ignore[arg-type]
            parameters=SimpleNamespace(patience_s=patience_s),
            control=SimpleNamespace(views=views, accounts=accounts),
            selected=one,
            select=one,
        ),
        bot=messenger,  # type: ignore[arg-type]
        update_id=1,
        user_id=7,
        chat_id=7,
        name="Asha",
    )


async def show(visit: Visit) -> None:
    await visit.show(Screen("The answer."))


async def refuse(_visit: Visit) -> None:
    raise UserError("The answer.")


@pytest.mark.parametrize("end", [show, refuse])
async def test_what_takes_long_is_said_and_taken_back(end: Callable[[Visit], Any]) -> None:
    """Whatever is asked for: a word while it lasts, the answer below, and the word goes."""
    messenger = Messenger()

    async def slow(visit: Visit) -> None:
        await messenger.spoke.wait()
        await end(visit)

    await attempt(visit_of(messenger, AT_ONCE), slow)
    assert messenger.seen == [WAITING, "The answer."]
    assert list(messenger.chat.values()) == ["The answer."]


async def test_what_comes_soon_needs_no_word() -> None:
    """Nor does a visit that has shown something already."""
    messenger = Messenger()
    await attempt(visit_of(messenger, NEVER), show)
    visit = visit_of(messenger, AT_ONCE)
    await visit.ask_for_patience()
    await visit.end_waiting()
    await show(visit)
    await visit.ask_for_patience()
    assert messenger.seen == ["The answer.", WAITING, "The answer."]


@pytest.mark.parametrize("trouble", ["", SAID])
async def test_a_dashboard_shows_what_is_known_and_then_the_fresh_figures(trouble: str) -> None:
    """One card: as of the last read while the broker is asked, then edited, or with what failed."""
    messenger = Messenger()
    await attempt(
        visit_of(messenger, AT_ONCE, Views(messenger.spoke, trouble)),
        show_dashboard,
    )
    first, last = messenger.seen
    assert list(messenger.chat.values()) == [last]
    assert "as of 09:45:00 IST" in first and "Fetching fresh figures from Zerodha" in first
    assert f"as of 09:4{5 if trouble else 6}:00 IST" in last and "Fetching" not in last
    assert (SAID in last) is bool(trouble)


async def test_a_word_that_cannot_be_said_ends_nothing() -> None:
    """Whatever goes wrong with it, what the user waits for is done to its end."""
    failed, answers = asyncio.Event(), asyncio.Event()

    async def say() -> None:
        failed.set()
        raise RuntimeError("no connection")

    async def work() -> str:
        await failed.wait()
        await asyncio.sleep(0)
        await answers.wait()
        return "done"

    waiting = asyncio.create_task(unless_soon(work, AT_ONCE, say))
    await failed.wait()
    answers.set()
    assert await waiting == "done"
