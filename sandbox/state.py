"""What survives a restart: an append-only log of (kind, key, value), the last value counts.

Without a directory everything lives in memory. Each ``put`` is one line, flushed to the operating
system before it returns, so that a killed sandbox has lost nothing it has answered for. A torn last
line is dropped. Opening compacts the log.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

__all__ = ["State"]


class State:
    """A keyed store on one JSON-lines file.

    Args:
        directory: Where ``state.jsonl`` lives; None keeps everything in memory.
    """

    def __init__(self, directory: Path | None) -> None:
        self._values: dict[str, dict[str, Any]] = {}
        self._file: IO[str] | None = None
        self._path = directory / "state.jsonl" if directory else None
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._load(self._path)
            self._compact()

    def _load(self, path: Path) -> None:
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                kind, key, value = json.loads(line)
            except ValueError:
                continue
            self._remember(kind, key, value)

    def _remember(self, kind: str, key: str, value: Any) -> None:
        group = self._values.setdefault(kind, {})
        if value is None:
            group.pop(key, None)
        else:
            group[key] = value

    def _compact(self) -> None:
        if self._path is None:
            return
        if self._file:
            self._file.close()
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as stream:
            for kind, group in self._values.items():
                for key, value in group.items():
                    stream.write(json.dumps([kind, key, value]) + "\n")
        fresh.replace(self._path)
        self._file = self._path.open("a", encoding="utf-8")

    def put(self, kind: str, key: str, value: Any) -> None:
        """Keep a JSON value under (kind, key); None forgets it."""
        self._remember(kind, key, value)
        if self._file:
            self._file.write(json.dumps([kind, key, value]) + "\n")
            self._file.flush()

    def group(self, kind: str) -> dict[str, Any]:
        """Return a copy of all values of a kind, in the order of their first write."""
        return dict(self._values.get(kind, {}))

    def get(self, kind: str, key: str) -> Any:
        """Return the value of (kind, key), or None."""
        return self._values.get(kind, {}).get(key)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._compact()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None
