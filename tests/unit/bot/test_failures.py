"""What a user reads when something failed: one sentence, whatever failed beside it (row G3)."""

from __future__ import annotations

import asyncio

import pytest

from bot.conversation.dispatch import failure
from bot.views.words import LOGIN_FAULT
from core.engine.workers.supervisor import Supervisor
from core.errors import LoginFault, LoginRefused, StoreUnavailable, UserError
from tests.fakes.clock import ManualClock

AWAY = StoreUnavailable("away")


@pytest.mark.parametrize(
    "error",
    [
        AWAY,
        ExceptionGroup("unhandled errors in a TaskGroup", [AWAY, AWAY]),
        ExceptionGroup("outer", [ExceptionGroup("inner", [AWAY]), UserError("other")]),
    ],
    ids=str,
)
def test_several_failures_are_told_as_the_first(error: Exception) -> None:
    """Tasks that run beside one another raise a group; nobody reads of sub-exceptions."""
    screen = failure(error)
    assert screen is not None and "the database does not answer" in screen.text
    assert "exception" not in screen.text.lower()


def test_a_group_with_a_bug_is_a_bug() -> None:
    """Something of ours went wrong: the log has it, and the chat says so."""
    assert failure(ExceptionGroup("x", [AWAY, RuntimeError("bug")])) is None


async def test_a_crashed_service_is_named_by_what_happened_in_it() -> None:
    """Not as ExceptionGroup, by which nobody knows what to do."""
    told: list[tuple[str, Exception]] = []
    heard = asyncio.Event()

    async def report(name: str, error: Exception) -> None:
        told.append((name, error))
        heard.set()

    async def service() -> None:
        if told:
            return
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [AWAY])])

    clock = ManualClock()
    task = asyncio.create_task(Supervisor(clock, report).keep("tokens", service))
    await heard.wait()
    await clock.advance(60)
    await task
    assert told == [("tokens", AWAY)]


@pytest.mark.row("B3", "B4")
@pytest.mark.parametrize("fault", LoginFault)
def test_a_pasted_login_that_fails_says_why(fault: LoginFault) -> None:
    """In the words of its notice; who logged in is no word of the broker's, nor is one of ours."""
    screen = failure(LoginRefused(fault, "CD5678 & Co"))
    assert screen is not None
    head, _, detail = screen.text.partition("\n")
    assert head == f"<b>Not logged in.</b> {LOGIN_FAULT[fault]}"
    said = {
        LoginFault.OTHER_USER: "CD5678 &amp; Co",
        LoginFault.NONCE_UNKNOWN: "",
        LoginFault.CODE_USED: "The broker says: CD5678 &amp; Co",
        LoginFault.NOT_ADMITTED: "The broker says: CD5678 &amp; Co",
    }
    assert detail == said.get(fault, detail)
    bare = failure(LoginRefused(fault))
    assert bare is not None and bare.text == head
