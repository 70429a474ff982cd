"""The one user of a server that we start ourselves, and connections made with it.

The password is made once, kept in a private file, and travels over the loopback wire only: never
in process arguments, messages or logs.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from core.adapters.mongo._process import write_private
from core.errors import StoreUnavailable

__all__ = [
    "USER",
    "StoreCredentials",
    "connected",
    "empty_all",
    "require_sole_user",
    "server_uri",
    "users",
]

USER = "saarthi"
_OURS = ("admin", USER)
_CONNECT_MS = 10_000
_OF_THE_SERVER = frozenset({"admin", "config", "local"})


class StoreCredentials:
    """The password of our user: drafted before the user is made, confirmed after."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f"{path.name}.draft")

    def exist(self) -> bool:
        """Return whether the user is known to exist."""
        return self._path.exists()

    def password(self) -> str:
        """Return the confirmed password, else the drafted one."""
        path = self._path if self.exist() else self._draft
        return path.read_text(encoding="utf-8")

    def begin(self, data: Path) -> bool:
        """Return whether this is a first start, whose ``data`` is then empty and has a draft.

        Nothing in ``data`` is ever removed. What a first start left that was cut short, as the
        draft beside it tells, is moved aside: no client was ever let in there. Without the draft
        the store was in use, and only the file with the password was lost, as in a copy.

        Raises:
            StoreUnavailable: The file is lost, or what is there cannot be moved.
        """
        if self.exist():
            return False
        if data.is_dir() and any(data.iterdir()):
            if not self._draft.exists():
                raise StoreUnavailable(_lost(self._path, data))
            _set_aside(data)
        self.draft()
        return True

    def draft(self) -> str:
        """Return a password to make the user with, made before there is any data."""
        if not self._draft.exists():
            write_private(self._draft, secrets.token_urlsafe(24))
        return self._draft.read_text(encoding="utf-8")

    def confirm(self) -> None:
        """Remember that the user with the drafted password exists; harmless when it is known."""
        if not self.exist():
            self._draft.replace(self._path)


def _lost(credentials: Path, data: Path) -> str:
    return (
        f"{data} holds a store, but {credentials}, the file with its password, is missing, as "
        "after a copy that left private files out; bring that file back from where the data came "
        "from, or move the data elsewhere and start anew, where saarthi restore takes a backup"
    )


def _set_aside(data: Path) -> None:
    aside = data.with_name(f"{data.name}-set-aside-{secrets.token_hex(4)}")
    try:
        data.rename(aside)
    except OSError as error:  # a mount, say
        message = (
            f"{data} holds what a first start left that was cut short, and cannot be moved aside "
            f"({error.strerror}); move what is in it elsewhere"
        )
        raise StoreUnavailable(message) from error


def server_uri(port: int, password: str | None, options: Mapping[str, str]) -> str:
    """Return the URI of a server on loopback, with our user unless ``password`` is None."""
    login = "" if password is None else f"{USER}:{password}@"
    query = dict(options) if password is None else {**options, "authSource": "admin"}
    return f"mongodb://{login}127.0.0.1:{port}/?{urlencode(query)}"


@asynccontextmanager
async def connected(uri: str) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    """Connect, and translate every failure.

    Raises:
        StoreUnavailable: The server refused, failed or did not answer.
    """
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        uri, serverSelectionTimeoutMS=_CONNECT_MS, connectTimeoutMS=_CONNECT_MS
    )
    try:
        await client.admin.command("ping")
        yield client
    except PyMongoError as error:
        message = f"the store that was started does not work: {error}"
        raise StoreUnavailable(message) from error
    finally:
        await client.close()


async def users(client: AsyncMongoClient[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return (database, name) of every user; ``usersInfo`` lists one database only."""
    found = client.admin["system.users"].find({}, {"db": 1, "user": 1})
    return [(user["db"], user["user"]) async for user in found]


async def empty_all(client: AsyncMongoClient[dict[str, Any]]) -> None:
    """Remove every user, role and document that is not ours, at the end of a first start.

    Before our user existed others on this machine could write: an owner of the bot, say. The data
    was empty when this start began (``StoreCredentials.begin``), so whatever is found is theirs.
    They are shut out when this is called.
    """
    for database, name in await users(client):
        if (database, name) != _OURS:
            await client[database].command("dropUser", name)
    for database in await client.list_database_names():
        if database not in _OF_THE_SERVER:
            await client.drop_database(database)
    for collection in await client.admin.list_collection_names():
        if not collection.startswith("system."):
            await client.admin.drop_collection(collection)
    with suppress(OperationFailure):  # a server without roles of its own
        await client.admin.command("dropAllRolesFromDatabase")


async def require_sole_user(client: AsyncMongoClient[dict[str, Any]]) -> None:
    """Refuse a server that others could enter.

    Before our user exists a server of ours is open to every local process for a moment.

    Raises:
        StoreUnavailable: There is a user that we did not make.
    """
    strangers = [name for database, name in await users(client) if (database, name) != _OURS]
    if strangers:
        message = f"the store has users that Saarthi did not make: {', '.join(strangers)}"
        raise StoreUnavailable(message)
