"""``MongoStore``: the store port on MongoDB, or on a server that speaks its wire protocol.

It keeps the port's contract on both: every write is acknowledged by a majority and journalled, the
driver's own retry of writes is off (the embedded server loses its records of them in a crash and
is slow with them on, facts/store.md 3 and 4), money is ``Decimal128``, times are aware and UTC.

A single write that ended in ``StoreUnavailable`` may have taken effect: the answer was lost, or the
server still waited for a lock. What must be known is written in a transaction, under a nonce.

Transactions run on a fixed pool of sessions. Their ids are readable, so that the lease can record
them: a controller that was killed inside a transaction leaves what it wrote locked for a minute
unless its successor kills these sessions (reliability.md 2.3).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable, Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from enum import StrEnum
from typing import Any, Final, Self, TypeVar

from bson.binary import Binary
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from core.adapters.mongo._errors import mapped
from core.adapters.mongo._transaction import COMMITS, Budget, TransactionCall
from core.adapters.mongo._view import DirectView
from core.adapters.mongo._waits import mend_waits
from core.adapters.mongo.codec import CODEC
from core.errors import ConfigurationError, GivenUp, StoreError, StoreUnavailable
from core.ports.store import BulkView, Change, Document, Tally

__all__ = ["CODEC", "Budget", "MongoStore", "ServerKind", "StoreOptions"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


class ServerKind(StrEnum):
    """What is behind the address."""

    MONGOD = "mongod"
    EMBEDDED = "embedded"


_UUID_SUBTYPE: Final = 4


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How the store is reached.

    Attributes:
        sessions: Transactions that can run at once; further ones wait.
        connections: Most connections kept to the server.
        server_selection_s: Longest wait for a server that is away.
        operation_s: Longest wait for one answer.
        budget: Of one transaction.
    """

    sessions: int = 16
    connections: int = 48
    server_selection_s: float = 2.0
    operation_s: float = 5.0
    budget: Budget = field(default_factory=Budget)


class MongoStore:
    """The store port over one database; made by ``connect``."""

    def __init__(
        self,
        client: AsyncMongoClient[Document],
        database: AsyncDatabase[Document],
        sessions: Sequence[AsyncClientSession],
        options: StoreOptions,
        kind: ServerKind,
    ) -> None:
        self._client = client
        self._database = database
        self._sessions = tuple(sessions)
        self._options = options
        self._kind = kind
        self._direct = DirectView(database, None)
        # The one used last first: its next transaction ends whatever a lost connection left open.
        self._free: asyncio.LifoQueue[AsyncClientSession] = asyncio.LifoQueue()
        for session in self._sessions:
            self._free.put_nowait(session)
        self._tails: set[asyncio.Task[Any]] = set()

    @classmethod
    async def connect(
        cls, uri: str, database: str, options: StoreOptions | None = None
    ) -> MongoStore:
        """Reach the server and return the store.

        Raises:
            ConfigurationError: The address is malformed, or names a server without transactions.
            StoreUnavailable: The server does not answer.
        """
        mend_waits()
        chosen = options or StoreOptions()
        client = _client(uri, chosen)
        try:
            kind = await _kind(client)
        except BaseException:
            await client.close()
            raise
        sessions = [client.start_session(causal_consistency=False) for _ in range(chosen.sessions)]
        return cls(client, _database(client, database), sessions, chosen, kind)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let commits and roll-backs on their way end, then close every connection."""
        if self._tails:
            await asyncio.wait(self._tails)
        for session in self._sessions:
            await session.end_session()
        await self._client.close()

    @property
    def database(self) -> AsyncDatabase[Document]:
        """The driver's database, for what reads or fills a store as a whole."""
        return self._database

    @property
    def session_ids(self) -> tuple[str, ...]:
        """Ids of the sessions that every transaction of this store runs on."""
        return tuple(bytes(session.session_id["id"]).hex() for session in self._sessions)

    def changes(self, others: Container[str]) -> int | None:
        """Return None: nothing is kept."""
        del others
        return None

    def contended(self, collection: str) -> frozenset[str]:
        """Return none: every transaction goes by itself."""
        del collection
        return frozenset()

    def server_kind(self) -> ServerKind:
        """Return ``embedded`` for SecantusDB, ``mongod`` for all others."""
        return self._kind

    def wake(self) -> None:
        """Have the server ready for a commit that comes in a moment; returns at once.

        The first commit after a rest takes nearly twice as long as one that follows another: a
        transaction that is taken back goes the same way and changes nothing.
        """
        if not self._free.empty():
            task = asyncio.get_running_loop().create_task(self._come_and_go(), name="store wakes")
            self._tails.add(task)
            task.add_done_callback(self._tails.discard)

    async def _come_and_go(self) -> None:
        async def body(view: BulkView) -> None:
            await view.get(COMMITS, "")  # after the write that every transaction begins with
            raise GivenUp("Nothing was to be done.")

        try:
            await self.transaction(body, nonce=f"wake:{secrets.token_hex(12)}")
        except StoreError as error:
            # Who commits in a moment hears what is wrong; this was to save it time.
            if not isinstance(error, GivenUp):
                _log.debug("the store did not wake: %s", error)

    async def ping(self) -> None:
        """Return when the server answers.

        Raises:
            StoreUnavailable: It does not.
        """
        try:
            await self._client.admin.command("ping")
        except PyMongoError as error:
            raise mapped(error) from error

    async def kill_sessions(self, ids: Sequence[str]) -> None:
        """End sessions of a controller that is gone, and roll back what they hold open."""
        if not ids:
            return
        wanted = [{"id": Binary(uuid.UUID(hex=one).bytes, _UUID_SUBTYPE)} for one in ids]
        await self.command({"killSessions": wanted}, admin=True)

    async def hold(self, collection: str, where: Mapping[str, Any]) -> None:
        """Do nothing: this store keeps no state that others could make out of date."""

    async def release(self) -> None:
        """Do nothing."""

    async def differences(self, collection: str | None = None, *, most: int = 0) -> list[str]:
        """Return none: nothing is kept."""
        del collection, most
        return []

    async def command(self, command: Mapping[str, Any], *, admin: bool = False) -> Document:
        """Run one database command; for migrations and administration only.

        Raises:
            StoreError: The server refused; ``__cause__`` holds the driver's error.
        """
        target = self._client.admin if admin else self._database
        try:
            reply: Document = await target.command(dict(command), codec_options=CODEC)
        except PyMongoError as error:
            raise mapped(error) from error
        return reply

    async def transaction(self, body: Callable[[BulkView], Awaitable[T]], *, nonce: str) -> T:
        """Run ``body`` in one transaction and commit it at most once (see the port)."""
        try:
            async with asyncio.timeout(self._options.budget.deadline_s):
                session = await self._free.get()
        except TimeoutError as error:
            raise StoreUnavailable("Every session of the store is busy.") from error
        call: TransactionCall[T] = TransactionCall(
            database=self._database,
            session=session,
            body=body,
            nonce=nonce,
            budget=self._options.budget,
            tails=self._tails,
            give_back=lambda: self._free.put_nowait(session),
        )
        return await call.run()

    async def get(self, collection: str, key: str) -> Document | None:
        """Return the document whose ``_id`` is ``key``, or None."""
        return await self._direct.get(collection, key)

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        """Return the matching documents."""
        return await self._direct.find(collection, where, sort=sort, limit=limit)

    async def total(
        self, collection: str, where: Mapping[str, Any], tally: Tally, heading: Hashable
    ) -> dict[Any, int]:
        """Return what the matching documents add up to under a heading (see the port)."""
        return await self._direct.total(collection, where, tally, heading)

    async def insert(self, collection: str, *documents: Document) -> None:
        """Insert documents; each carries its own ``_id``."""
        await self._direct.insert(collection, *documents)

    async def update(
        self,
        collection: str,
        where: Mapping[str, Any],
        change: Change,
        *,
        upsert: bool = False,
        many: bool = False,
    ) -> int:
        """Change one (or with ``many`` every) matching document; return how many matched."""
        return await self._direct.update(collection, where, change, upsert=upsert, many=many)

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        """Delete every matching document; return how many."""
        return await self._direct.delete(collection, where)


def _client(uri: str, options: StoreOptions) -> AsyncMongoClient[Document]:
    # Without a scheme the driver takes it for a host, and repeats it in what it says.
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise _not_understood("no scheme")
    try:
        return AsyncMongoClient(
            uri,
            appname="saarthi",
            retryWrites=False,
            w="majority",
            journal=True,
            readConcernLevel="majority",
            tz_aware=True,
            tzinfo=UTC,
            maxPoolSize=options.connections,
            serverSelectionTimeoutMS=int(options.server_selection_s * 1000),
            connectTimeoutMS=int(options.server_selection_s * 1000),
            waitQueueTimeoutMS=int(options.operation_s * 1000),
            socketTimeoutMS=int(options.operation_s * 1000),
        )
    except (DriverConfigurationError, ValueError):
        # Not chained: the driver's words may repeat the address with its password.
        raise _not_understood("a part of it is wrong") from None


def _not_understood(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"MONGODB_URI: not understood ({why}); expected "
        "mongodb://[user:password@]host:port/?replicaSet=NAME."
    )


async def _kind(client: AsyncMongoClient[Document]) -> ServerKind:
    """Return the kind of server behind ``client``, when it can hold transactions."""
    try:
        hello = await client.admin.command("hello")
        build = await client.admin.command("buildInfo")
    except PyMongoError as error:
        raise mapped(error) from error
    kind = ServerKind.EMBEDDED if "secantusVersion" in build else ServerKind.MONGOD
    # The embedded server has transactions without a set, too.
    if "setName" not in hello and kind is ServerKind.MONGOD:
        raise ConfigurationError(
            "MONGODB_URI: found a standalone server; expected a replica set "
            "(one node is enough), because transactions need one."
        )
    return kind


def _database(client: AsyncMongoClient[Document], name: str) -> AsyncDatabase[Document]:
    return client.get_database(
        name,
        codec_options=CODEC,
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern(w="majority", j=True),
        read_concern=ReadConcern("majority"),
    )
