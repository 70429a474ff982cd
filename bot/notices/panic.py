"""The messages of a panic: its live count, and how to come back (row R2)."""

from __future__ import annotations

from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.panic import panic_card, panic_over
from bot.views.screen import Screen
from core.domain.notices.panic import PanicCard, PanicNotice, PanicOver
from core.domain.panic import Hindrance

__all__ = ["panic_notice"]


async def panic_notice(notice: PanicNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about a panic."""
    view = await lookups.control.panic.view(notice.panic_id)
    expired = [
        account
        for line in view.panic.lines
        if line.hindrance is Hindrance.LOGIN
        and (account := view.accounts.get(line.broker_id)) is not None
    ]
    logins = await lookups.login_rows(expired)
    match notice:
        case PanicCard() | PanicOver():
            # Either shows the present: the end once it is known, and never an old count.
            return panic_card(view, logins) if view.panic.is_running else panic_over(view, logins)
        case _:
            assert_never(notice)
