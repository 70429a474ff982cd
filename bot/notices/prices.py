"""The messages of notices about where prices come from."""

from __future__ import annotations

from typing import assert_never

from bot.views.markup import LONG, esc, short
from bot.views.screen import Screen
from core.domain.notices.prices import PriceNotice, PricesPolled, PricesPushed

__all__ = ["price_notice"]


def price_notice(notice: PriceNotice) -> Screen:
    """Return the message of a notice about where prices come from."""
    match notice:
        case PricesPolled():
            return Screen(
                f"📶 The prices that {esc(notice.account)} pushes cannot be relied on "
                f"({esc(short(notice.why, LONG))}). I ask for them instead, so runs may decide "
                "some seconds after their bars close. I keep trying."
            )
        case PricesPushed():
            return Screen("📶 Prices are pushed again: runs decide as their bars close.")
        case _:
            assert_never(notice)
