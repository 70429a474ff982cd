"""``saarthi owners``: who is served by the bot, and serving somebody no more (G1)."""

from __future__ import annotations

import secrets
import sys

from core.bootstrap import Foundation, attach, open_system
from core.config import Settings
from core.domain.owner import Way
from core.engine.control.owners import end_service
from core.engine.users import owners
from core.engine.workers.lease import wrote_outside
from core.errors import StoreUnavailable, UserError
from core.ports.store import StoreView

__all__ = ["run_owners"]


async def run_owners(settings: Settings, remove: int | None) -> int:
    """List the owners, without ``remove`` when it is given; return 0.

    Raises:
        UserError: That user cannot be removed.
    """
    uri = settings.mongodb_uri.get_secret_value() if settings.mongodb_uri else None
    try:
        async with attach(settings, uri) as foundation:
            await _act(foundation, remove)
    except StoreUnavailable:
        # No controller runs, so no store of its own does either: start it here.
        if uri is not None:
            raise
        async with open_system(settings) as foundation:
            await _act(foundation, remove)
    return 0


async def _act(foundation: Foundation, remove: int | None) -> None:
    store, listed = foundation.store, foundation.settings.owners
    if remove is not None:
        if remove in listed:
            raise UserError(
                f"User {remove} is listed in SAARTHI_OWNERS: take the number out there and restart."
            )
        if remove not in {one.user_id for one in await owners(store, listed)}:
            raise UserError(f"User {remove} is not served.")

        async def body(view: StoreView) -> None:
            await end_service(view, remove)
            await wrote_outside(view)

        await store.transaction(body, nonce=f"owner:{secrets.token_hex(8)}")
        sys.stdout.write(f"User {remove} is served no more.\n")
    known = await owners(store, listed)
    for one in known:
        way = "listed in SAARTHI_OWNERS" if one.way is Way.LISTED else "paired"
        sys.stdout.write(f"{one.user_id}  {one.name or '(no name yet)'}  {way}\n")
    if not known:
        sys.stdout.write(
            "Nobody is served: the next start of saarthi run prints a code for /pair.\n"
        )
