"""Reads the database of another program; nothing in it is ever written (product.md A11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import InvalidName, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from core.errors import ConfigurationError, StoreUnavailable, UserError

__all__ = ["OldAddress", "documents_of", "old_address"]

_WAIT_MS = 10_000
_MOST = 2000
_SERVERS_OWN = {"admin", "config", "local"}


class OldAddress:
    """Where the other program's database is; its password is never shown."""

    def __init__(self, uri: str, database: str | None, *, has_password: bool) -> None:
        self.uri = uri
        self.database = database
        self.has_password = has_password

    def __repr__(self) -> str:
        """Leave the address out."""
        return f"OldAddress(database={self.database!r})"


def old_address(uri: str) -> OldAddress:
    """Take an address apart.

    Raises:
        UserError: It is none; it is not repeated, for it may hold a password.
    """
    try:
        found: Mapping[str, Any] = parse_uri(uri)
    except (DriverConfigurationError, InvalidName, ValueError):
        raise UserError(
            "The old database's address is not understood; expected mongodb://host:port/NAME."
        ) from None
    except PyMongoError:
        raise UserError("The old database's address cannot be looked up.") from None
    return OldAddress(uri, found.get("database"), has_password=bool(found.get("password")))


async def documents_of(
    address: OldAddress, database: str, collections: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the newest documents of those of the collections that are there.

    Raises:
        UserError: None of them is; the sentence says what the server has.
        StoreUnavailable: The server does not answer or does not let us read.
    """
    try:
        async with AsyncMongoClient[dict[str, Any]](
            address.uri,
            appname="saarthi",
            tz_aware=True,
            tzinfo=UTC,
            retryWrites=False,
            serverSelectionTimeoutMS=_WAIT_MS,
            connectTimeoutMS=_WAIT_MS,
            socketTimeoutMS=_WAIT_MS,
        ) as client:
            there = set(await client[database].list_collection_names())
            found = {
                name: await client[database][name].find().sort("_id", -1).to_list(_MOST)
                for name in collections
                if name in there
            }
            if found:
                return found
            names = sorted(set(await client.list_database_names()) - _SERVERS_OWN)
    except (DriverConfigurationError, InvalidName) as error:
        raise ConfigurationError(f"The old database: {error}.") from None
    except OperationFailure as error:
        raise StoreUnavailable(
            f"The old database refuses to be read (code {error.code}); check the user and password "
            "of its address, and what that user may read."
        ) from None
    except PyMongoError:
        raise StoreUnavailable(
            "The old database cannot be read; check its address, and that it runs."
        ) from None
    raise UserError(_none(database, collections, sorted(there), names))


def _none(
    database: str, collections: Sequence[str], there: Sequence[str], databases: Sequence[str]
) -> str:
    shown = ", ".join(collections[:4]) + (", …" if len(collections) > 4 else "")  # noqa: PLR2004
    has = f"it has {', '.join(there[:12])}" if there else "it is empty or not there"
    return (
        f"The database {database} has no collection {shown}: {has}; the server's databases are "
        f"{', '.join(databases) or 'none'}. Name them with --db and --collection."
    )
