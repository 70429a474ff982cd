"""What a controller remembers, compared with what is stored, as long as it lives."""

from __future__ import annotations

import asyncio

from core.errors import LeaseLost, StoreError
from tests.campaign.world import World

__all__ = ["compare"]

_EVERY_S = 5.0


async def compare(world: World) -> None:
    """Note in ``world.differences`` what is not the same."""
    while True:
        await asyncio.sleep(_EVERY_S)
        life = world.life
        if life is None or life.watch.is_dead:
            continue
        try:
            found = await life.system.foundation.store.differences()
        except (LeaseLost, StoreError):
            continue  # nothing is believed then
        if life is world.life:
            world.differences += found
