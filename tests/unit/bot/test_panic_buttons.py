"""What the question and the buttons of a panic do (row R2): what is shown is what is confirmed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bot.conversation.nonces import Nonces
from bot.handlers import panic
from bot.notices.panic import panic_notice
from bot.views.callbacks import Tap
from bot.views.panic import HOLDINGS
from bot.views.screen import DANGER, Keyboard, Screen
from bot.views.verbs import Verb
from core.adapters.fyers import FYERS
from core.domain.account import Account, TokenStatus
from core.domain.mode import TradingMode
from core.domain.notices.panic import PanicCard, PanicOver
from core.domain.panic import Hindrance, Line, Panic, PanicEnd
from core.domain.views import PanicAccount, PanicQuestion, PanicView
from core.errors import AlreadyDone, UserError
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.views import AT, an_account

pytestmark = pytest.mark.row("R2")

MAIN = an_account()
TWO = an_account("fyers_bbbbbbbbbb", FYERS, "Two", is_default=False)
THREE = an_account("zerodha_cccccccccc", display_name="Three", is_default=False)
MINE = (4711, 1)


def running_on(*accounts: Account, end: PanicEnd = PanicEnd.NONE) -> Panic:
    lines = tuple(Line(one.broker_id, 1, 1) for one in accounts)
    return Panic("000001", AT, "2026-11-23", "1", (), False, lines, end)


@dataclass
class Chat:
    """A chat over a control that notes what it is asked for."""

    accounts: Collection[Account] = (MAIN, TWO)
    running: Panic | None = None
    shown: list[Screen] = field(default_factory=list)
    sent: list[Screen] = field(default_factory=list)
    confirmed: list[tuple[Any, ...]] = field(default_factory=list)
    began: list[tuple[list[str], bool]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    is_done: bool = False

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.nonces = Nonces(MemoryStore(), self.clock)

    # The control

    async def question(self) -> PanicQuestion:
        found = [PanicAccount(one, 1, 1, 0, False, True) for one in self.accounts]
        return PanicQuestion(tuple(found), self.running)

    async def show_again(self, chat_id: int) -> None:
        self.again.append(chat_id)

    async def start(
        self, _command: object, chosen: Collection[str], *, with_holdings: bool
    ) -> Panic:
        if self.is_done:
            raise AlreadyDone("done already")
        self.began.append((list(chosen), with_holdings))
        return running_on(*(one for one in self.accounts if one.broker_id in chosen))

    async def stop(self, _command: object, panic_id: str) -> None:
        self.stopped.append(panic_id)

    async def view(self, _panic_id: str) -> PanicView:
        assert self.running is not None
        known = {one.broker_id: one for one in self.accounts}
        return PanicView(self.running, known, {}, (), TradingMode.EXIT_ONLY)

    # The chat

    async def issue(self, verb: Verb, args: dict[str, Any]) -> str:
        return await self.nonces.issue(verb, *MINE, args)

    async def show(self, screen: Screen) -> None:
        self.shown.append(screen)

    async def send(self, screen: Screen) -> None:
        self.sent.append(screen)

    async def confirm(self, text: str, verb: Verb, args: Any, choices: Any, **more: Any) -> None:
        self.confirmed.append((text, verb, args, choices, more))

    def visit(self, *arguments: str, args: dict[str, Any] | None = None) -> Any:
        services = SimpleNamespace(control=SimpleNamespace(panic=self), nonces=self.nonces)
        return SimpleNamespace(
            services=services,
            chat_id=MINE[0],
            user_id=MINE[1],
            tap=Tap(Verb.PANIC_PICK, arguments),
            args=args or {},
            command=None,
            issue=self.issue,
            show=self.show,
            send=self.send,
            confirm=self.confirm,
        )

    @property
    def rows(self) -> Keyboard:
        return self.shown[-1].rows

    @property
    def nonce(self) -> str:
        """The nonce behind the buttons of the newest question."""
        datum = str(self.rows[-2][0].callback_data)
        return datum.split(":")[2]

    async def chosen(self) -> tuple[list[str], bool]:
        """What the red button of the newest question would close."""
        found = await self.nonces.find(self.nonce)
        assert found is not None and found.verb == Verb.PANIC.value
        return found.args["chosen"], found.args["holdings"]


async def test_every_account_is_chosen_and_no_holdings() -> None:
    """One red button, first of all, with the accounts counted."""
    chat = Chat()
    await panic.ask(chat.visit())
    assert await chat.chosen() == ([MAIN.broker_id, TWO.broker_id], False)
    (red, *_) = chat.rows
    assert [(one.text, one.style) for one in red] == [
        ("🛑 Close everything now (2 accounts)", DANGER)
    ]
    assert f":{chat.nonce}" in str(red[0].callback_data)
    assert (chat.again, chat.sent, chat.began) == ([], [], [])


async def test_without_an_account_there_is_nothing_to_close() -> None:
    """It is said, and no question is asked."""
    with pytest.raises(UserError, match="no account yet"):
        await panic.ask(Chat(accounts=()).visit())


async def test_named_accounts_alone_are_chosen() -> None:
    """Typed: close everything on Two."""
    chat = Chat()
    await panic.ask_for(chat.visit(), [TWO.broker_id])
    assert await chat.chosen() == ([TWO.broker_id], False)


@pytest.mark.parametrize(
    ("runs_on", "named", "asked"),
    [
        ([MAIN], None, [TWO, THREE]),
        ([MAIN], [THREE], [THREE]),
        ([MAIN], [MAIN, THREE], [THREE]),
    ],
    ids=["all", "another", "one of both"],
)
async def test_while_one_runs_it_is_shown_and_only_more_is_asked_about(
    runs_on: list[Account], named: list[Account] | None, asked: list[Account]
) -> None:
    """Never more than what was named: one tap closes what the question shows."""
    chat = Chat(accounts=(MAIN, TWO, THREE), running=running_on(*runs_on))
    names = None if named is None else [one.broker_id for one in named]
    await panic.ask_for(chat.visit(), names)
    assert chat.again == [MINE[0]]
    assert await chat.chosen() == ([one.broker_id for one in asked], False)
    assert "A panic runs already. Add" in chat.shown[0].text


@pytest.mark.parametrize(
    ("runs_on", "named", "where"),
    [([MAIN, TWO], None, "on every account"), ([TWO], [TWO], "there")],
)
async def test_where_it_runs_already_nothing_is_asked(
    runs_on: list[Account], named: list[Account] | None, where: str
) -> None:
    """It is shown anew as the chat's newest message, and said where it runs."""
    chat = Chat(running=running_on(*runs_on))
    names = None if named is None else [one.broker_id for one in named]
    await panic.ask_for(chat.visit(), names)
    assert (chat.again, chat.shown) == ([MINE[0]], [])
    assert [one.text for one in chat.sent] == [f"A panic runs already {where}. It shows here:"]


async def test_taps_choose_and_leave_out_and_the_question_of_before_is_spent() -> None:
    """Each tap shows the question anew, with a red button of its own."""
    chat = Chat()
    await panic.ask(chat.visit())
    first = chat.nonce
    await panic.pick(chat.visit(first, "0"))
    assert await chat.chosen() == ([TWO.broker_id], False)
    spent = await chat.nonces.find(first)
    assert spent is not None and spent.state == "used"
    await panic.pick(chat.visit(chat.nonce, HOLDINGS))
    assert await chat.chosen() == ([TWO.broker_id], True)
    await panic.pick(chat.visit(chat.nonce, "0"))
    assert await chat.chosen() == ([MAIN.broker_id, TWO.broker_id], True)
    await panic.pick(chat.visit(chat.nonce, HOLDINGS))
    await panic.pick(chat.visit(chat.nonce, "1"))
    assert await chat.chosen() == ([MAIN.broker_id], False)
    assert chat.rows[0][0].text == "🛑 Close everything now (1 account)"


@pytest.mark.parametrize("what", ["2", "99", "x", ""])
async def test_a_tap_on_what_is_not_there_changes_nothing(what: str) -> None:
    """An account was disconnected since the question."""
    chat = Chat()
    await panic.ask(chat.visit())
    await panic.pick(chat.visit(chat.nonce, what))
    assert await chat.chosen() == ([MAIN.broker_id, TWO.broker_id], False)


async def test_without_a_chosen_account_there_is_no_red_button() -> None:
    """Nothing could be confirmed by it."""
    chat = Chat(accounts=(MAIN,))
    await panic.ask(chat.visit())
    await panic.pick(chat.visit(chat.nonce, HOLDINGS))
    chat.accounts = ()
    await panic.pick(chat.visit(chat.nonce, HOLDINGS))
    assert all(one.style != DANGER for row in chat.rows for one in row)


@pytest.mark.row("G3")
@pytest.mark.parametrize("whose", ["expired", "unknown", "another's", "another verb's"])
async def test_a_question_that_is_not_to_be_had_is_asked_anew(whose: str) -> None:
    """With every account, as at first: nothing of the old choice is taken for a wish."""
    chat = Chat()
    await panic.ask(chat.visit())
    await panic.pick(chat.visit(chat.nonce, "0"))
    nonce, args = chat.nonce, {"chosen": [TWO.broker_id], "holdings": True}
    if whose == "expired":
        await chat.clock.advance(timedelta(minutes=6).total_seconds())
    if whose == "unknown":
        nonce = "nonsense"
    if whose == "another's":
        nonce = await chat.nonces.issue(Verb.PANIC, MINE[0], 2, args)
    if whose == "another verb's":
        nonce = await chat.nonces.issue(Verb.CLOSE_POSITION, *MINE, args)
    await panic.pick(chat.visit(nonce, "0"))
    assert await chat.chosen() == ([MAIN.broker_id, TWO.broker_id], False)


async def test_what_is_confirmed_is_begun() -> None:
    """The accounts of the nonce, with its holdings; the answer counts them."""
    chat = Chat()
    args = {"chosen": [TWO.broker_id], "holdings": True}
    await panic.start(chat.visit(args=args))
    assert chat.began == [([TWO.broker_id], True)]
    assert chat.shown[0].text == "🛑 Confirmed: I close everything on 1 account."
    chat.is_done = True
    with pytest.raises(AlreadyDone):
        await panic.start(chat.visit(args=args))
    assert chat.again == [MINE[0]], "a second tap shows where it stands"
    assert len(chat.began) == 1


async def test_stop_trying_is_asked_about_and_then_done() -> None:
    """By a question of its own, that says what stays; one that is over is not asked about."""
    chat = Chat(running=running_on(MAIN, TWO))
    await panic.ask_stop(chat.visit("000001"))
    ((text, verb, args, choices, more),) = chat.confirmed
    assert "0 of 2 accounts are flat" in text
    assert (verb, args, choices) == (
        Verb.STOP_PANIC,
        {"panic_id": "000001"},
        {"": "Stop trying"},
    )
    assert more == {"back": (), "is_new": True}, "the live message stays"
    await panic.stop(chat.visit(args=args))
    assert chat.stopped == ["000001"]
    chat.running = running_on(MAIN, end=PanicEnd.FLAT)
    with pytest.raises(AlreadyDone, match="over already"):
        await panic.ask_stop(chat.visit("000001"))


@pytest.mark.parametrize("notice", [PanicCard("000001"), PanicOver("000001")])
async def test_either_message_shows_the_present_with_a_login_for_who_needs_one(
    notice: PanicCard | PanicOver,
) -> None:
    """An old count is never shown over an end; only accounts that are named as expired log in."""
    expired = replace(TWO, token_status=TokenStatus.EXPIRED)
    gone = Line("zerodha_gone", hindrance=Hindrance.LOGIN)
    chat = Chat(accounts=(MAIN, expired), running=running_on(MAIN))
    asked: list[list[str]] = []

    async def login_rows(accounts: list[Account]) -> Keyboard:
        asked.append([one.broker_id for one in accounts])
        return ()

    lookups: Any = SimpleNamespace(control=SimpleNamespace(panic=chat), login_rows=login_rows)
    lines = (Line(MAIN.broker_id, 1), Line(TWO.broker_id, hindrance=Hindrance.LOGIN), gone)
    for end, words in ((PanicEnd.NONE, "PANIC · 0 of 3 flat"), (PanicEnd.STOPPED, "ended by you")):
        chat.running = replace(running_on(MAIN), lines=lines, end=end)
        assert words in (await panic_notice(notice, lookups)).text
    assert asked == [[TWO.broker_id]] * 2
