"""What is sealed in the store: its fields, who may make a first key, and rotation (G2)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core.adapters.vault import KEY_FILE, FernetVault
from core.errors import ConfigurationError, VaultError
from core.ports.store import Change, Store, StoreView, parts

__all__ = ["SEALED", "Rotation", "resealed", "rotate", "vault_beside"]

SEALED: Final[Mapping[str, frozenset[str]]] = {
    "broker_accounts": frozenset({"api_secret", "access_token", "proxy_login"}),
    "inbox": frozenset({"payload"}),
    "prompts": frozenset({"secret"}),
}
"""The names of the fields that hold sealed texts, at any depth, by collection.

By field and not by what a text looks like: a user may give an account a name that begins as sealed
texts do. ``tests/unit/adapters/test_sealed.py`` finds a field that is sealed and not named here.
"""


async def vault_beside(store: Store, setting: str | None, data_dir: Path) -> FernetVault:
    """Return the vault of an installation; a first key is made only where nothing is sealed yet.

    Raises:
        ConfigurationError: The key file is gone while secrets are sealed with its keys; or a key
            is malformed, or others may read the file.
    """
    is_given = setting is not None and bool(setting.strip())
    if not is_given and not (data_dir / KEY_FILE).exists() and await _holds_sealed(store):
        raise ConfigurationError(
            f"The key file {data_dir / KEY_FILE} is gone, and the store holds secrets that only "
            "its keys open: put it back from your backup. If it is lost for good, saarthi "
            "rotate-key --lost-key makes a new one; then send each account's key and secret again."
        )
    return FernetVault.from_setting(setting, data_dir)


async def _holds_sealed(store: Store) -> bool:
    for collection, fields in SEALED.items():
        for document in await store.find(collection, {}):
            if any(True for _ in _sealed_texts(document, fields)):
                return True
    return False


@dataclass(slots=True)
class Rotation:
    """What ``rotate`` did: how many texts it sealed anew, and which documents it had to leave."""

    resealed: int = 0
    unreadable: list[str] = field(default_factory=list)


_Anew = tuple[str, str, str, str]  # id, dotted path, the text as it was, and as it will be


async def _nothing(_view: StoreView) -> None:
    return None


async def rotate(
    store: Store,
    vault: FernetVault,
    *,
    beside: Callable[[StoreView], Awaitable[None]] = _nothing,
) -> Rotation:
    """Seal every sealed text of ``store`` anew with the newest key; call after ``add_key``.

    ``beside`` belongs in each transaction that changes something: a controller may run.

    Safe while a controller runs: a text that changed meanwhile is left, for it was sealed with the
    newest key. A damaged text is reported and leaves all others untouched. Running it again is
    harmless.
    """
    done = Rotation()
    for collection, fields in SEALED.items():
        anew: list[_Anew] = []
        for document in await store.find(collection, {}):
            for path, sealed in _sealed_texts(document, fields):
                try:
                    anew.append((document["_id"], path, sealed, vault.reseal(sealed)))
                except VaultError:
                    done.unreadable.append(f"{collection}/{document['_id']}: {path}")
        for some in parts(anew):
            done.resealed += await _put(store, collection, some, beside)
    return done


async def _put(
    store: Store,
    collection: str,
    anew: Sequence[_Anew],
    beside: Callable[[StoreView], Awaitable[None]],
) -> int:
    """Put texts in the places of those that still stand; return how many there were."""

    async def body(view: StoreView) -> int:
        done = [
            await view.update(collection, {"_id": key, path: old}, Change(set={path: new}))
            for key, path, old, new in anew
        ]
        if any(done):
            await beside(view)
        return sum(done)

    return await store.transaction(body, nonce=f"reseal:{secrets.token_hex(12)}")


def resealed(
    collection: str, document: Mapping[str, Any], seal: Callable[[str], str]
) -> dict[str, Any]:
    """Return a document with every sealed text sealed anew by ``seal``."""
    fields = SEALED.get(collection, frozenset())
    found = _sealed_anew(document, fields, seal)
    assert isinstance(found, dict)  # noqa: S101 - it was one
    return found


def _sealed_anew(
    value: object, fields: frozenset[str], seal: Callable[[str], str], name: str = ""
) -> object:
    if isinstance(value, Mapping):
        return {key: _sealed_anew(part, fields, seal, str(key)) for key, part in value.items()}
    if isinstance(value, list):
        return [_sealed_anew(part, fields, seal, str(n)) for n, part in enumerate(value)]
    return seal(value) if name in fields and isinstance(value, str) and value else value


def _sealed_texts(
    value: object, fields: frozenset[str], path: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, text) of every sealed text in a document."""
    parts: Iterator[tuple[Any, Any]]
    if isinstance(value, Mapping):
        parts = iter(value.items())
    elif isinstance(value, list):
        parts = iter(enumerate(value))
    else:
        return
    for name, part in parts:
        where = f"{path}.{name}" if path else str(name)
        if name in fields and isinstance(part, str):
            if part:
                yield where, part
        else:
            yield from _sealed_texts(part, fields, where)
