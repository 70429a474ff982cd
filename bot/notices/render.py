"""Renders a notice as a screen: each topic has a module, and each notice a ``case`` in it.

The result depends on the notice and the ``Lookups`` only.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TypeAlias, assert_never

from bot.notices.accounts import account_notice
from bot.notices.backups import backup_notice
from bot.notices.calendar import calendar_notice
from bot.notices.exits import exit_notice
from bot.notices.limits import limit_notice
from bot.notices.logins import login_notice
from bot.notices.lookups import Lookups
from bot.notices.orders import order_notice
from bot.notices.panic import panic_notice
from bot.notices.positions import position_notice
from bot.notices.prices import price_notice
from bot.notices.protection import protection_notice
from bot.notices.result_guards import guard_notice
from bot.notices.results import result_notice
from bot.notices.runs import run_notice
from bot.notices.summary import summary_notice
from bot.notices.system import system_notice
from bot.views.markup import esc
from bot.views.screen import Screen
from bot.views.width import fitted
from core.domain.notices.accounts import AccountNotice
from core.domain.notices.backups import BackupNotice
from core.domain.notices.calendar import CalendarNotice
from core.domain.notices.exits import ExitNotice
from core.domain.notices.limits import LimitNotice
from core.domain.notices.logins import LoginNotice
from core.domain.notices.notice import Notice
from core.domain.notices.orders import OrderNotice
from core.domain.notices.panic import PanicNotice
from core.domain.notices.positions import PositionNotice
from core.domain.notices.prices import PriceNotice
from core.domain.notices.protection import ProtectionNotice
from core.domain.notices.result_guards import GuardNotice
from core.domain.notices.results import ResultNotice
from core.domain.notices.runs import RunNotice
from core.domain.notices.summary import SummaryNotice
from core.domain.notices.system import SystemNotice
from core.errors import NotFound

__all__ = ["render", "render_present"]


async def render(notice: Notice, lookups: Lookups) -> Screen:
    """Return the message of a notice.

    Raises:
        SaarthiError: What it needs cannot be read now.
    """
    try:
        return await render_present(notice, lookups)
    except NotFound as error:
        return Screen(f"{esc(notice.kind.replace('_', ' ').capitalize())}: {esc(error)}")


async def render_present(notice: Notice, lookups: Lookups) -> Screen:
    """Return the message of a notice as what it is about stands now.

    Raises:
        NotFound: That is kept no longer.
        SaarthiError: It cannot be read now.
    """
    screen = await _render(notice, lookups)
    return replace(screen, text=_with_whole_title(screen.text))


def _with_whole_title(text: str) -> str:
    """Return a message whose title goes to a second line before the name of its account breaks."""
    title, newline, rest = text.partition("\n")
    found = _TITLE.match(title)
    if found is None:
        return text
    broken = fitted(f"{found['what']}</b>", f"<b>{found['whose']}")
    return f"{broken}{newline}{rest}" if "\n" in broken else text


_TITLE = re.compile(r"(?P<what>[^<]*<b>[^<]+) · (?P<whose>[^<·]+</b>)$")
_Trading: TypeAlias = (
    RunNotice
    | OrderNotice
    | PositionNotice
    | ResultNotice
    | ProtectionNotice
    | ExitNotice
    | SummaryNotice
)
"""What concerns orders and positions; the other topics follow below."""
_Own: TypeAlias = CalendarNotice | PriceNotice | SystemNotice
"""What is about no account."""


async def _render(notice: Notice, lookups: Lookups) -> Screen:
    # mypy proves that no topic is left out here, and in each topic that no notice is.
    if isinstance(notice, _Trading):
        return await _trading(notice, lookups)
    if isinstance(notice, GuardNotice):
        return await guard_notice(notice, lookups)
    if isinstance(notice, LoginNotice):
        return await login_notice(notice, lookups)
    if isinstance(notice, LimitNotice):
        return await limit_notice(notice, lookups)
    if isinstance(notice, AccountNotice):
        return await account_notice(notice, lookups)
    if isinstance(notice, BackupNotice):
        return await backup_notice(notice, lookups)
    if isinstance(notice, _Own):
        return _own(notice)
    if isinstance(notice, PanicNotice):
        return await panic_notice(notice, lookups)
    assert_never(notice)


def _own(notice: _Own) -> Screen:
    if isinstance(notice, CalendarNotice):
        return calendar_notice(notice)
    if isinstance(notice, PriceNotice):
        return price_notice(notice)
    if isinstance(notice, SystemNotice):
        return system_notice(notice)
    assert_never(notice)


async def _trading(notice: _Trading, lookups: Lookups) -> Screen:
    if isinstance(notice, RunNotice):
        return await run_notice(notice, lookups)
    if isinstance(notice, OrderNotice):
        return await order_notice(notice, lookups)
    if isinstance(notice, PositionNotice):
        return await position_notice(notice, lookups)
    if isinstance(notice, ResultNotice):
        return await result_notice(notice, lookups)
    if isinstance(notice, ProtectionNotice):
        return await protection_notice(notice, lookups)
    if isinstance(notice, ExitNotice):
        return await exit_notice(notice, lookups)
    if isinstance(notice, SummaryNotice):
        return await summary_notice(notice, lookups)
    assert_never(notice)
