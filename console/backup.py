"""``saarthi backup`` and ``restore``: an installation in one sealed file, and back (D04)."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.bootstrap.backups import back_up, passphrase_of
from core.bootstrap.restoring import RestoreDone, open_backup, restore
from core.config import Settings
from core.domain.owner import BotOwner
from core.domain.plain_text import plain_line
from core.domain.sessions import IST

__all__ = ["run_backup", "run_restore"]

_TOLD = {
    "broker_accounts": "account(s)",
    "orders": "order(s)",
    "fills": "trade(s)",
    "past_orders": "lot(s) of orders of finished days",
    "ledgers": "ledger(s)",
    "runs": "run(s)",
}


async def run_backup(settings: Settings, directory: Path | None) -> int:
    """Make a backup, beside a running controller or without one; return the exit code.

    Raises:
        SaarthiError: A sentence; there is no backup.
    """
    made = await back_up(settings, directory)
    opens = "its keys, or your passphrase" if passphrase_of(settings) else "its keys"
    _say([f"{made.path}: {made.size:,} bytes, opened by {opens}"])
    return 0


async def run_restore(
    settings: Settings,
    file: Path,
    *,
    key_file: Path | None,
    replace: bool,
    keeps_owners: bool = False,
) -> int:
    """Restore a backup; return 0, or 1 when some secret could not be opened.

    Raises:
        SaarthiError: A sentence; unless it says otherwise, nothing was changed.
    """
    reader = open_backup(settings, file, key_file, _ask)
    done = await restore(settings, reader, replace=replace, keeps_owners=keeps_owners)
    _say(list(_lines(done)))
    return 1 if done.unreadable else 0


def _ask() -> str | None:
    """Ask for the passphrase where somebody is there to type it; it is not shown."""
    return getpass.getpass("Passphrase of the backup: ") if sys.stdin.isatty() else None


def _lines(done: RestoreDone) -> Iterator[str]:
    if done.replaced is not None:
        yield f"what was there before is in {done.replaced.path}"
    made = done.manifest.made_at.astimezone(IST)
    held = ", ".join(
        f"{done.counts[name]:,} {word}" for name, word in _TOLD.items() if done.counts.get(name)
    )
    yield f"restored the {done.manifest.kind.value} backup of {made:%d %b %Y %H:%M} IST: {held}"
    if done.made_keys:
        yield "its keys are this installation's now: keep a copy of secret.key apart"
    if done.had_panic:
        yield "a panic was running then; it is not taken up: send /panic if you still want it"
    if done.dropped:
        yield f"not served any more: {_names(done.dropped)}; list them in SAARTHI_OWNERS, or"
        yield "restore with --keep-owners to serve those on who paired"
    if done.kept:
        yield f"served as they were then: {_names(done.kept)}; to take one out:"
        yield "saarthi owners --remove"
    if done.unreadable:
        yield f"{done.unreadable} secret(s) cannot be opened by any key: send them anew in the chat"
    if done.missing:
        yield f"set when it was made, and not now: {', '.join(done.missing)}"
    yield "start saarthi run and log in: each account is compared with its broker, and the chat"
    yield "says what was found; nothing is entered until you set Normal there"


def _names(owners: Sequence[BotOwner]) -> str:
    return ", ".join(f"{one.user_id} {plain_line(one.name)}".strip() for one in owners)


def _say(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
