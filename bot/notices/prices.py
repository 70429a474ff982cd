"""The messages of notices about where prices come from."""

from __future__ import annotations

from typing import assert_never

from bot.views.markup import LONG, bold, esc, short
from bot.views.screen import Screen
from core.domain.notices.prices import PriceNotice, PricesPolled, PricesPushed, SourceSilent

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
        case SourceSilent():
            cost = (
                "so runs ask another account beside it, and may decide some seconds later"
                if notice.has_others
                else "and there is no other to ask: runs wait up to 12 s for it, and enter nothing "
                "without an answer"
            )
            return Screen(f"🐢 {bold(notice.account)} does not answer for prices, {cost}.")
        case _:
            assert_never(notice)
