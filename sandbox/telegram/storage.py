"""Where the simulator's records survive a restart: one SQLite file, or memory.

Every change is written at once, so a killed process loses nothing. There is no sync to the disk:
a machine that loses power may lose the last moments of a simulation.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

__all__ = ["Storage"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS files (
  id TEXT PRIMARY KEY, path TEXT NOT NULL, name TEXT NOT NULL, mime TEXT NOT NULL,
  content BLOB NOT NULL);
"""
_UPGRADE = """
UPDATE records SET kind = 'user' WHERE kind = 'person';
UPDATE records SET body = REPLACE(body, '"person_id":', '"user_id":')
  WHERE kind IN ('message', 'callback');
"""
"""Renames what versions before November 2026 wrote, so that a kept directory still loads."""


class Storage:
    """Records by kind and key, and uploaded files."""

    def __init__(self, directory: Path | None) -> None:
        target = ":memory:"
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            target = str(directory / "telegram.sqlite3")
        self._database = sqlite3.connect(target, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute("PRAGMA secure_delete=ON")
        self._database.executescript(_SCHEMA)
        self._database.executescript(_UPGRADE)

    def save(self, kind: str, key: str, record: Any) -> None:
        """Write one record (a dataclass) over its older version."""
        # Not by ``asdict``, which copies all that a record holds before it is written.
        body = json.dumps(vars(record), ensure_ascii=False, default=vars)
        self._database.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, key, body))

    def remove(self, kind: str, key: str) -> None:
        """Forget one record."""
        self._database.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))

    def load(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Read the keys and records of a kind, in the order of writing."""
        rows = self._database.execute(
            "SELECT key, body FROM records WHERE kind = ? ORDER BY rowid", (kind,)
        )
        return [(key, json.loads(body)) for key, body in rows]

    def save_file(self, file_id: str, path: str, name: str, mime: str, content: bytes) -> None:
        """Keep an uploaded file."""
        self._database.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
            (file_id, path, name, mime, content),
        )

    def file(self, column: str, value: str) -> tuple[str, str, str, str, bytes] | None:
        """Find a file by `id` or `path`: its id, path, name, type and content."""
        where = {"id": "id = ?", "path": "path = ?"}[column]
        row = self._database.execute(f"SELECT * FROM files WHERE {where}", (value,)).fetchone()  # noqa: S608 - one of two constants
        return None if row is None else (row[0], row[1], row[2], row[3], bytes(row[4]))

    def clear(self) -> None:
        """Forget everything."""
        self._database.execute("DELETE FROM records")
        self._database.execute("DELETE FROM files")

    def close(self) -> None:
        """Close the file."""
        self._database.close()
