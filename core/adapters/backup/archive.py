"""What a backup holds, part by part: a manifest, files, documents by collection, their counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import bson
from bson.raw_bson import RawBSONDocument

from core.adapters.backup.sealed_file import SealedReader, SealedWriter
from core.adapters.mongo.schema import COLLECTIONS
from core.adapters.mongo.store import MongoStore
from core.adapters.mongo.whole import read_whole
from core.domain.backup import BackupKind
from core.domain.plain_text import plain_line
from core.errors import UserError

__all__ = ["Documents", "KeptFile", "Manifest", "check", "contents", "manifest_of", "write"]

_LEFT_OUT: Final = frozenset({"lease"})
"""Who holds it now is of this moment and this server alone."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands at the beginning.

    Attributes:
        made_at: Real time of the moment that the documents are of, or just before it.
        schema: The schema's version.
        store_kind: What it was read from.
        settings: The names of the settings that were given; no values.
        keys: The installation's keys, newest first.
    """

    made_at: datetime
    kind: BackupKind
    schema: int
    store_kind: str
    settings: tuple[str, ...]
    keys: tuple[str, ...]

    def __repr__(self) -> str:
        """Leave the keys out of any traceback or log."""
        return f"Manifest({self.made_at.isoformat()}, {self.kind.value})"


@dataclass(frozen=True, slots=True)
class Documents:
    """Some documents of one collection, as they are on the wire."""

    collection: str
    documents: Sequence[RawBSONDocument]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of the data directory."""

    name: str
    data: bytes


async def write(
    writer: SealedWriter, store: MongoStore, manifest: Manifest, files: Sequence[KeptFile]
) -> Counter[str]:
    """Write a whole backup; return how many documents of each collection it holds."""
    counts: Counter[str] = Counter()
    await _add(writer, {"what": "manifest", **_manifest_row(manifest)})
    for file in files:
        await _add(writer, {"what": "file", "name": file.name, "data": file.data})
    names = [one.name for one in COLLECTIONS if one.name not in _LEFT_OUT]
    async with aclosing(read_whole(store, names)) as whole:
        async for collection, documents in whole:
            counts[collection] += len(documents)
            part = {"what": "documents", "collection": collection, "documents": documents}
            await _add(writer, part)
    await _add(writer, {"what": "counts", "counts": dict(counts)})
    await asyncio.to_thread(writer.finish)
    return counts


async def _add(writer: SealedWriter, part: Mapping[str, Any]) -> None:
    # Compressing and sealing take milliseconds, which the controller's loop has not.
    await asyncio.to_thread(writer.add, part)


def _manifest_row(manifest: Manifest) -> dict[str, Any]:
    return {
        "made_at": manifest.made_at,
        "kind": manifest.kind.value,
        "schema": manifest.schema,
        "store_kind": manifest.store_kind,
        "settings": list(manifest.settings),
        "keys": list(manifest.keys),
    }


def manifest_of(reader: SealedReader) -> Manifest:
    """Return what stands at the beginning of a backup."""
    row = next(reader.parts(), None)
    if row is None or row.get("what") != "manifest":
        raise UserError("The backup begins with no manifest; take an older backup.")
    with _as_written():
        return Manifest(
            made_at=row["made_at"].replace(tzinfo=UTC),
            kind=BackupKind(row["kind"]),
            schema=int(row["schema"]),
            store_kind=plain_line(row["store_kind"]),
            settings=tuple(plain_line(one) for one in row["settings"]),
            keys=tuple(row["keys"]),
        )


def contents(reader: SealedReader) -> Iterator[Documents | KeptFile]:
    """Yield documents and files in order."""
    for part in reader.parts():
        if part["what"] == "documents":
            yield Documents(part["collection"], part["documents"])
        elif part["what"] == "file":
            yield KeptFile(part["name"], bytes(part["data"]))


def check(reader: SealedReader) -> Counter[str]:
    """Read a backup to its end; return how many documents of each collection it holds.

    Raises:
        UserError: It is damaged, or not all that it should hold is there.
    """
    found: Counter[str] = Counter()
    said: dict[str, int] | None = None
    for part in reader.parts():
        with _as_written():
            if part["what"] == "documents":
                found[_checked(part["collection"])] += len(part["documents"])
            elif part["what"] == "counts":
                said = {name: int(count) for name, count in part["counts"].items()}
            elif part["what"] == "file":
                _checked(part["name"].replace(".", "")), bytes(part["data"])
    if said is None or said != dict(found):
        raise UserError("The backup lacks some of its documents; take an older backup.")
    return found


def _checked(name: str) -> str:
    """Return the name of a collection or file that a backup of ours may hold."""
    if not name.isidentifier() or name in _LEFT_OUT or name.startswith("system"):
        raise ValueError(name)
    return name


@contextmanager
def _as_written() -> Iterator[None]:
    """Take a part for damaged that is not as we write it: whoever has a passphrase can make one."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, bson.errors.BSONError):
        raise UserError("The backup has parts that Saarthi does not write.") from None
