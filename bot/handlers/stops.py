"""Put a stop back that somebody cancelled (R7)."""

from __future__ import annotations

from bot.conversation.visit import Visit
from bot.views.callbacks import resolve
from bot.views.markup import bold, esc, join
from bot.views.screen import Screen, button
from bot.views.verbs import Verb

__all__ = ["put_back"]


async def put_back(visit: Visit) -> None:
    """Place a position's stop again."""
    broker_id, stops = visit.tap.argument(0), visit.services.control.stops
    key = resolve(visit.tap.argument(1), await stops.absent(broker_id), "stop to put back")
    await stops.put_back(visit.command, broker_id, key)
    text = join(
        bold("Putting the stop back"),
        f"{esc(key.partition('|')[0])}: you see it in /positions once the broker has taken it.",
    )
    await visit.show(Screen(text, ((button("Positions", Verb.POSITIONS, broker_id),),)))
