"""Notices as a user reads them, over an engine with an account and an order."""

from __future__ import annotations

import html
import re

from bot.conversation.login_buttons import LoginButtons
from bot.notices.lookups import Lookups
from bot.notices.render import render
from bot.parameters import BotParameters
from core.domain.account import TokenStatus
from core.domain.notices.notice import Notice
from core.domain.order import OrderState
from tests.fakes.bot_engine import BotEngine
from tests.fakes.views import a_run, an_account, an_order

__all__ = ["ACCOUNT", "ORDER", "TAGS", "an_engine", "lookups", "text_of"]

TAGS = re.compile(r"</?(b|i|code)>")
ACCOUNT = an_account(token_status=TokenStatus.EXPIRED)
ORDER = an_order(ACCOUNT, state=OrderState.UNRESOLVED, broker_order_id=None)
PARAMETERS = BotParameters("123:abc", public_url="https://saarthi.example")


async def an_engine() -> BotEngine:
    """Return an engine with everything that the samples name."""
    engine = BotEngine()
    await engine.connect(ACCOUNT)
    await engine.order(ORDER, "run")
    await engine.ran(a_run(ORDER, run_id="run"))
    return engine


def lookups(engine: BotEngine) -> Lookups:
    return Lookups(engine.control, LoginButtons(engine.control.logins, PARAMETERS))


async def text_of(notice: Notice) -> str:
    screen = await render(notice, lookups(await an_engine()))
    return html.unescape(TAGS.sub("", screen.text))
