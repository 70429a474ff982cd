"""Sharing a login from the chat: what is shown of it, and what each button does (row B11)."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from bot.handlers import links
from bot.views.callbacks import encode, parse
from bot.views.screen import Screen
from bot.views.verbs import Verb
from core.adapters.zerodha import ZERODHA
from core.config import Settings
from core.domain.account import Account
from core.domain.sessions import IST
from core.errors import LoginRefused, NotFound, UserError
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.rendered import TAGS

pytestmark = pytest.mark.row("B11")
EARLY = datetime(2026, 11, 23, 8, 30, tzinfo=IST)


class Chat:
    """The owner, who taps the buttons of what was shown last."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.shown = Screen("")

    async def _show(self, screen: Screen) -> None:
        self.shown = screen

    async def tap(self, handler: Any, data: str) -> str:
        """Let a handler answer a button's data; return the words that it shows."""
        services = SimpleNamespace(control=self.engine.control, clock=self.engine.clock)
        await handler(
            SimpleNamespace(
                services=services, tap=parse(data), command=self.engine.command(), show=self._show
            )
        )
        return TAGS.sub("", self.shown.text)

    def data(self, label: str) -> str:
        """Return what the button of this label sends."""
        buttons = [one for row in self.shown.rows for one in row]
        return str(next(one.callback_data for one in buttons if label in one.text))

    @property
    def copied(self) -> str:
        """What the copy button copies."""
        (found,) = [one.copy_text for row in self.shown.rows for one in row if one.copy_text]
        return found.text

    async def open_links(self, account: Account) -> set[str]:
        """Return the secret parts of an account's open links."""
        return {one.link for one in await self.engine.control.links.open_links(account.broker_id)}


@pytest.fixture
async def chat() -> Chat:
    return Chat(await MemoryEngine(market_clock(EARLY)).owned())


async def test_a_link_is_shown_once_and_listed_with_its_end(chat: Chat) -> None:
    """In market time, and without the part that opens it; the button for a day gives a day."""
    account = await chat.engine.connect(logged_in=False)
    assert "No link is open." in await chat.tap(
        links.page, encode(Verb.SHARE_LOGIN, account.broker_id)
    )
    made = await chat.tap(links.make, chat.data("7 days"))
    (link,) = await chat.open_links(account)
    assert chat.copied == f"https://saarthi.example/login/{link}"
    assert "for 7 days" in made and chat.copied in made
    listed = await chat.tap(links.page, chat.data("Login links"))
    assert "made 23 Nov 08:30, ends 30 Nov 08:30" in listed
    buttons = [one for row in chat.shown.rows for one in row]
    assert link not in chat.shown.text + "".join(str(one.callback_data) for one in buttons)


async def test_each_button_revokes_its_own_link(chat: Chat) -> None:
    """Of two the older one; what it opened it opens no more, and the other one still does."""
    account, other = await chat.engine.connect(logged_in=False), await chat.engine.connect("Other")
    made: list[str] = []
    for days in ("1 day", "30 days"):
        await chat.tap(links.page, encode(Verb.SHARE_LOGIN, account.broker_id))
        await chat.tap(links.make, chat.data(days))
        made.append(chat.copied.rpartition("/")[2])
        await chat.engine.clock.advance(60)
    listed = await chat.tap(links.page, encode(Verb.SHARE_LOGIN, account.broker_id))
    assert listed.index("made 23 Nov 08:31") < listed.index("made 23 Nov 08:30"), "newest first"
    revoke = chat.data("Revoke the one of 23 Nov 08:30")
    assert "opens nothing any more" in await chat.tap(links.revoke, revoke)
    assert await chat.open_links(account) == {made[1]}
    assert await chat.engine.control.logins.linked_account(made[1]) == account
    with pytest.raises(LoginRefused):
        await chat.engine.control.logins.linked_account(made[0])
    with pytest.raises(NotFound, match="link is not there any more"):
        await chat.tap(links.revoke, revoke)
    theirs = revoke.replace(account.broker_id, other.broker_id)
    with pytest.raises(NotFound):
        await chat.tap(links.revoke, theirs)


async def test_an_old_button_makes_no_link_without_end(chat: Chat) -> None:
    """Only the ends that are offered, whatever a button says."""
    account = await chat.engine.connect()
    for days in ("", "soon", "0", "3650"):
        with pytest.raises(UserError, match=r"open /brokers again|Open /brokers again"):
            await chat.tap(links.make, encode(Verb.MAKE_LINK, account.broker_id, days))
    assert await chat.open_links(account) == set()


@pytest.mark.row("B4")
async def test_without_a_public_address_the_holder_sends_back_where_the_browser_ended() -> None:
    """The broker's own address is given, and what the holder's browser comes to is pasted."""
    engine = await MemoryEngine(market_clock(EARLY), settings=Settings(public_url=None)).owned()
    chat, account = Chat(engine), await engine.connect(logged_in=False, enabled=False)
    page = await chat.tap(links.page, encode(Verb.SHARE_LOGIN, account.broker_id))
    assert "works once, for ten minutes" in page and "paste it here" in page
    assert chat.copied in page.replace("&amp;", "&")
    nonce = dict(parse_qsl(urlsplit(chat.copied).query))["nonce"]
    landed = f"http://127.0.0.1/?{ZERODHA.callback.nonce}={nonce}&{ZERODHA.callback.code}=code"
    done = await engine.control.logins.paste(engine.command(), landed, account.broker_id)
    assert not done.needs_login
