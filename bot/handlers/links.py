"""Login links for the holder of an account, who does not use the bot (row B11)."""

from __future__ import annotations

from dataclasses import replace

from bot.conversation.visit import Visit
from bot.views.callbacks import resolve
from bot.views.links import links_page, made_page, paste_page
from core.errors import UserError

__all__ = ["make", "page", "revoke"]


async def page(visit: Visit) -> None:
    """Show the open links of an account; without a public address, the way by pasting (B4)."""
    await _show(visit, visit.tap.argument(0))


async def _show(visit: Visit, broker_id: str, note: str = "") -> None:
    control = visit.services.control
    if control.links.can_be_made:
        account, clock = await control.accounts.get(broker_id), visit.services.clock
        shown = [
            replace(
                one,
                created_at=clock.market_at(one.created_at),
                ends_at=clock.market_at(one.ends_at),
            )
            for one in await control.links.open_links(broker_id)
        ]
        screen = links_page(account, shown)
    else:
        offer = await control.logins.offer(broker_id)
        screen = paste_page(offer.account, offer.direct_url or "")
    await visit.show(screen.with_note(note) if note else screen)


async def make(visit: Visit) -> None:
    """Make a link that ends after so many days, and show it once."""
    broker_id, days = visit.tap.argument(0), visit.tap.argument(1)
    if not days.isdigit():
        raise UserError("I do not know that choice. Open /brokers again.")
    account, address = await visit.services.control.links.make(visit.command, broker_id, int(days))
    await visit.show(made_page(account, address, int(days)))


async def revoke(visit: Visit) -> None:
    """End a link at once."""
    links, broker_id = visit.services.control.links, visit.tap.argument(0)
    named = {one.link: one for one in await links.open_links(broker_id)}
    chosen = resolve(visit.tap.argument(1), named, "link")
    await links.revoke(broker_id, chosen)
    await _show(visit, broker_id, "✅ Revoked: that link opens nothing any more.")
