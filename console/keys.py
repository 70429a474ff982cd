"""``saarthi rotate-key``: seals every stored secret with the new key, without downtime (G2)."""

from __future__ import annotations

import sys

from core.bootstrap import attach, open_system, replace_lost_key, rotate_secrets
from core.config import Settings
from core.errors import StoreUnavailable

__all__ = ["rotate_key"]


async def rotate_key(settings: Settings, *, is_lost: bool = False) -> int:
    """Rotate; return 0, or 1 when some secret could not be opened.

    Args:
        settings: Of the installation.
        is_lost: The key file is gone for good: make a new one first.
    """
    if is_lost:
        replace_lost_key(settings)
    uri = settings.mongodb_uri.get_secret_value() if settings.mongodb_uri else None
    try:
        async with attach(settings, uri) as foundation:
            resealed, unreadable = await rotate_secrets(foundation)
    except StoreUnavailable:
        # No controller runs, so no embedded store does either: start it here.
        if uri is not None:
            raise
        async with open_system(settings) as foundation:
            resealed, unreadable = await rotate_secrets(foundation)
    sys.stdout.write(f"{resealed} secret(s) sealed with the new key.\n")
    for where in unreadable:
        sys.stderr.write(f"cannot be opened, left as it is: {where}\n")
    return 1 if unreadable else 0
