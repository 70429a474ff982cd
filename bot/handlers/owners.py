"""Who is served, /owners: the list, and serving somebody no more (G1)."""

from __future__ import annotations

from dataclasses import replace

from bot.conversation.visit import Visit
from bot.views.owners import owners_screen, removal_question
from bot.views.screen import button
from bot.views.verbs import Verb
from core.errors import UserError

__all__ = ["ask_removal", "listing", "remove"]


async def listing(visit: Visit) -> None:
    """List who is served."""
    await _show(visit)


async def _show(visit: Visit) -> None:
    """Show the owners with times of the market, as all that the chat shows."""
    clock = visit.services.clock
    shown = [
        replace(one, seen_at=clock.market_at(one.seen_at)) if one.seen_at else one
        for one in await visit.services.control.owners.all()
    ]
    await visit.show(owners_screen(shown, visit.user_id))


async def ask_removal(visit: Visit) -> None:
    """Say what a removal does, and ask."""
    given = visit.tap.argument(0)
    if not given.isdecimal():
        raise UserError("I do not know that user. Open /owners again.")
    owner = await visit.services.control.owners.removable(int(given))
    await visit.confirm(
        removal_question(owner),
        Verb.REMOVE_OWNER,
        {"user_id": owner.user_id},
        {"": f"Remove {owner.name or owner.user_id}"},
        back=((button("« Leave it", Verb.OWNERS),),),
    )


async def remove(visit: Visit) -> None:
    """Serve an owner no more, and show who is left."""
    owners = visit.services.control.owners
    await owners.remove(visit.command, int(visit.args["user_id"]))
    if visit.user_id != int(visit.args["user_id"]):
        await _show(visit)
