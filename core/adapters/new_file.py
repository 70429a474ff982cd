"""A file that gets its name when it is whole, and never takes the place of another."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["give_name", "sync_directory"]


def give_name(draft: Path, path: Path) -> None:
    """Move a whole file to its place, where there must be none yet, and bring that onto the disk.

    By a hard link, which is all or nothing. Where the file system has none (exFAT, many network
    shares) the name is reserved by an empty file first; only a crash between the two leaves that.

    Raises:
        FileExistsError: There is a file; it and the draft stay as they are.
    """
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # each file system says in its own way that it has no links
        _reserve_and_rename(draft, path)
    else:
        draft.unlink()
    sync_directory(path.parent)


def _reserve_and_rename(draft: Path, path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        draft.replace(path)
    except BaseException:
        path.unlink()
        raise


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory onto the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
