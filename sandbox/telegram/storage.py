"""Where the simulator's records survive a restart: one SQLite file, or memory.

Every change is written at once, so a killed process loses nothing. There is no sync to the disk:
a machine that loses power may lose the last moments of a simulation.
"""

import json
import sqlite3
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Storage", "StoredFile"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS files (
  id TEXT PRIMARY KEY, path TEXT NOT NULL, name TEXT NOT NULL, mime TEXT NOT NULL,
  content BLOB NOT NULL, owner INTEGER);
"""
_UPGRADE = """
UPDATE records SET kind = 'user' WHERE kind = 'person';
UPDATE records SET body = REPLACE(body, '"person_id":', '"user_id":')
  WHERE kind IN ('message', 'callback');
"""
"""Renames what versions before November 2026 wrote, so that a kept directory still loads."""


@dataclass(frozen=True)
class StoredFile:
    """A file that somebody uploaded.

    Attributes:
        id: As a bot knows it.
        path: Under which it is downloaded.
        owner: The bot to which the id was given; None where every bot of a group has it.
    """

    id: str
    path: str
    name: str
    mime: str
    content: bytes
    owner: int | None = None


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
        columns = [row[1] for row in self._database.execute("PRAGMA table_info(files)")]
        if "owner" not in columns:  # written before bots had files of their own
            self._database.execute("ALTER TABLE files ADD COLUMN owner INTEGER")

    def save(self, kind: str, key: str, record: Any) -> None:
        """Write one record (a dataclass) over its older version."""
        # Not by ``asdict``, which copies all that a record holds before it is written.
        self.save_json(kind, key, json.dumps(vars(record), ensure_ascii=False, default=vars))

    def save_json(self, kind: str, key: str, body: str) -> None:
        """Write one record that is JSON already."""
        self._database.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, key, body))

    def remove(self, kind: str, *keys: str) -> None:
        """Forget records."""
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany(
                "DELETE FROM records WHERE kind = ? AND key = ?", [(kind, key) for key in keys]
            )

    def load(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Read the keys and records of a kind, in the order of writing."""
        rows = self._database.execute(
            "SELECT key, body FROM records WHERE kind = ? ORDER BY rowid", (kind,)
        )
        return [(key, json.loads(body)) for key, body in rows]

    def save_file(self, file: StoredFile) -> None:
        """Keep an uploaded file."""
        self._database.execute(
            "INSERT OR REPLACE INTO files (id, path, name, mime, content, owner)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            astuple(file),
        )

    def file(self, column: str, value: str) -> StoredFile | None:
        """Find a file by `id` or `path`."""
        where = {"id": "id = ?", "path": "path = ?"}[column]
        row = self._database.execute(
            f"SELECT id, path, name, mime, content, owner FROM files WHERE {where}",  # noqa: S608 - one of two constants
            (value,),
        ).fetchone()
        return None if row is None else StoredFile(*row)

    def clear(self) -> None:
        """Forget everything."""
        self._database.execute("DELETE FROM records")
        self._database.execute("DELETE FROM files")

    def close(self) -> None:
        """Close the file."""
        self._database.close()
