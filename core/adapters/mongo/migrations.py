"""Brings a store to the program's schema, from any older state, and from any half-way one.

Order: the data is moved first (``MIGRATIONS``, each idempotent), then collections, validators and
indexes are made as ``schema.py`` declares them, and the version is written last. A migration that
was killed anywhere leaves the old version in place; the next start runs it again and converges. A
store that a newer program wrote is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from pymongo.errors import OperationFailure

from core.adapters.mongo.schema import COLLECTIONS, Collection, Index
from core.errors import ConfigurationError, DuplicateKey, StoreError
from core.ports.store import Change, Document, StoreView

__all__ = [
    "MIGRATIONS",
    "SCHEMA_VERSION",
    "MigratableStore",
    "begin_restoring",
    "end_restoring",
    "forget_schema",
    "is_current",
    "is_half_restored",
    "is_newer",
    "migrate",
    "needs_backup",
    "note_backup",
    "refuse_half_restored",
]

_NAMESPACE_EXISTS: Final = 48
_NAMESPACE_NOT_FOUND: Final = 26
_KEY: Final = "schema"
_HALF: Final = "restoring"
_BEFORE: Final = "backed_up"


class MigratableStore(StoreView, Protocol):
    """What a migration needs: the store's operations, and database commands."""

    async def command(self, command: Mapping[str, Any]) -> Document:
        """Run one database command."""
        ...


Migration = Callable[[MigratableStore], Awaitable[None]]


async def _derive_account_fields(store: MigratableStore) -> None:
    """Fill ``live`` and ``display_key`` of accounts that hold only the fields of product.md A."""
    for account in await store.find("broker_accounts", {"live": None}):
        live = account.get("disconnected_at") is None
        key = str(account.get("display_name", "")).lower()
        await store.update(
            "broker_accounts",
            {"_id": account["_id"]},
            Change(set={"live": live, "display_key": key}),
        )


async def _pack_finished_days(store: MigratableStore) -> None:
    """Refuse older programs, which would not find packed orders; and remove what one has left.

    An older program that restores a backup does not know of lots and leaves them there, to turn up
    as orders of before the restore. Where the setting is that leads to them they belong here.
    """
    if await store.get("settings", "past") is None:
        for name in ("past_orders", "past_steps"):
            await _drop(store, name)


async def _drop(store: MigratableStore, name: str) -> None:
    try:
        await store.command({"drop": name})
    except StoreError as error:
        if _code(error) != _NAMESPACE_NOT_FOUND:
            raise


MIGRATIONS: tuple[Migration, ...] = (_derive_account_fields, _pack_finished_days)
"""In order; number n makes schema version n. Never change one that was released: append."""

SCHEMA_VERSION: Final = len(MIGRATIONS)


async def is_current(
    store: StoreView,
    collections: Sequence[Collection] = COLLECTIONS,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> bool:
    """Whether a store has this program's schema, so that there is nothing to migrate."""
    stored = await store.get(_KEY, _KEY)
    wanted = {"version": len(migrations), "digest": _digest(collections)}
    return stored is not None and all(stored[name] == value for name, value in wanted.items())


async def is_newer(store: StoreView) -> bool:
    """Whether a newer program wrote a store, which may hold what this one does not know."""
    stored = await store.get(_KEY, _KEY)
    return stored is not None and int(stored["version"]) > SCHEMA_VERSION


async def needs_backup(store: StoreView) -> bool:
    """Whether ``migrate`` would change a store of an older program that was not backed up for it.

    A migration that fails or is killed begins again at each start: the backup of the first try is
    the way back, and those of later ones would only push it out.

    Raises:
        ConfigurationError: A newer program wrote this store.
    """
    stored = await store.get(_KEY, _KEY)
    if stored is None or await is_current(store):
        return False
    _refuse_newer(int(stored["version"]), len(MIGRATIONS))
    before = await store.get(_KEY, _BEFORE)
    return before is None or before["to"] != _digest(COLLECTIONS)


async def note_backup(store: StoreView) -> None:
    """Note that a store was backed up for ``migrate``."""
    change = Change(set={"to": _digest(COLLECTIONS)})
    await store.update(_KEY, {"_id": _BEFORE}, change, upsert=True)


async def begin_restoring(store: StoreView) -> None:
    """Note that a store is being filled from a backup: until the end nothing may use it."""
    await store.update(_KEY, {"_id": _HALF}, Change(set={"begun": True}), upsert=True)


async def end_restoring(store: StoreView) -> None:
    """Note that it is whole."""
    await store.delete(_KEY, {"_id": _HALF})


async def is_half_restored(store: StoreView) -> bool:
    """Whether a restore into this store was begun and not finished."""
    return await store.get(_KEY, _HALF) is not None


async def refuse_half_restored(store: StoreView) -> None:
    """Raise ``ConfigurationError`` when a restore into this store was not finished."""
    if await is_half_restored(store):
        raise ConfigurationError(
            "A restore into this store was not finished: run saarthi restore again, with the same "
            "file or another one."
        )


async def forget_schema(store: StoreView, version: int | None = None) -> None:
    """Have the next ``migrate`` bring the store up from ``version``; None is an empty store."""
    for key in (_KEY, _BEFORE):
        await store.delete(_KEY, {"_id": key})
    if version is not None:
        change = Change(set={"version": version, "digest": ""})
        await store.update(_KEY, {"_id": _KEY}, change, upsert=True)


async def migrate(
    store: MigratableStore,
    collections: Sequence[Collection] = COLLECTIONS,
    migrations: Sequence[Migration] = MIGRATIONS,
    *,
    rebuilds: bool = True,
) -> None:
    """Bring ``store`` to this program's schema; does nothing when it is there already.

    Run it under the lease, before anything else writes. Without ``rebuilds`` an index stays that
    holds what is declared by an older filter, or that is not declared any more and refuses nothing:
    the embedded server takes ten milliseconds a document to remove or build one, and serves either
    alike.

    Raises:
        ConfigurationError: A newer program wrote this store, or its data break a unique index.
    """
    stored = await store.get(_KEY, _KEY) or {"version": 0, "digest": ""}
    version = int(stored["version"])
    _refuse_newer(version, len(migrations))
    digest = _digest(collections)
    if version == len(migrations) and stored["digest"] == digest:
        return
    for step in migrations[version:]:
        await step(store)
    for wanted in collections:
        await _ensure(store, wanted, rebuilds=rebuilds)
    await store.update(
        _KEY,
        {"_id": _KEY},
        Change(set={"version": len(migrations), "digest": digest}),
        upsert=True,
    )


def _refuse_newer(version: int, known: int) -> None:
    if version > known:
        raise ConfigurationError(
            f"The store has schema version {version}; this program knows up to {known}. Start the "
            "newer program."
        )


async def _ensure(store: MigratableStore, wanted: Collection, *, rebuilds: bool) -> None:
    """Make the collection, its validator and its indexes as declared."""
    rules = {"validator": {"$jsonSchema": wanted.rules} if wanted.rules else {}}
    try:
        await store.command({"create": wanted.name, **rules})
    except StoreError as error:
        if _code(error) != _NAMESPACE_EXISTS:
            raise
    # Also when it was made just now: the embedded server accepts to create what exists, as it is.
    await store.command({"collMod": wanted.name, **rules})
    existing = await _indexes(store, wanted.name)
    declared = {one.name: one for one in wanted.indexes}
    if not rebuilds:
        declared |= {
            name: replace(one, where=one.was)
            for name, one in declared.items()
            if one.was is not None and name in existing and _differs(existing[name], one)
        }
    stale = [
        name
        for name, found in existing.items()
        if _differs(found, declared.get(name))
        and (rebuilds or name in declared or found.get("unique"))
    ]
    for name in stale:
        await store.command({"dropIndexes": wanted.name, "index": name})
    missing = [one for one in wanted.indexes if one.name not in existing or one.name in stale]
    if missing:
        await _create_indexes(store, wanted.name, missing)


async def _create_indexes(store: MigratableStore, name: str, missing: Sequence[Index]) -> None:
    try:
        await store.command(
            {"createIndexes": name, "indexes": [one.specification() for one in missing]}
        )
    except DuplicateKey as error:
        raise ConfigurationError(
            f"The collection {name} holds two documents where index {error.index} allows one; "
            "remove one of them and start again."
        ) from error


async def _indexes(store: MigratableStore, name: str) -> dict[str, Document]:
    """Return the existing indexes by name, without the one on ``_id``."""
    try:
        reply = await store.command({"listIndexes": name})
    except StoreError as error:
        if _code(error) == _NAMESPACE_NOT_FOUND:
            return {}
        raise
    found: Sequence[Document] = reply["cursor"]["firstBatch"]
    return {one["name"]: one for one in found if one["name"] != "_id_"}


def _differs(found: Document, wanted: Index | None) -> bool:
    """Return whether an existing index is not (any more) what is declared."""
    if wanted is None:
        return True
    declared = wanted.specification()
    return (
        tuple(found["key"].items()) != wanted.keys
        or bool(found.get("unique")) != wanted.unique
        or found.get("partialFilterExpression") != declared.get("partialFilterExpression")
        or found.get("expireAfterSeconds") != declared.get("expireAfterSeconds")
    )


def _code(error: StoreError) -> int | None:
    cause = error.__cause__
    return cause.code if isinstance(cause, OperationFailure) else None


def _digest(collections: Sequence[Collection]) -> str:
    """Return a fingerprint of the declared schema, so that a start with nothing to do is quick."""
    declared = [
        [one.name, one.rules, [made.specification() for made in one.indexes]] for one in collections
    ]
    text = json.dumps(declared, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
