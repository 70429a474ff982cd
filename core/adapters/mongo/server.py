"""The store's server: given, found or brought along, and watched (product row F5).

Three ways, in this order: ``MONGODB_URI`` names a server and nothing is started; a ``mongod`` named
in the settings or found on the PATH is started as a one-node replica set; else the embedded server
is started. What is started lives under the data directory, listens on loopback with a password,
never outlives this process, and is found by other commands through ``store.json`` (0600).
"""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol, cast

from core.adapters.mongo._embedded import EmbeddedServer
from core.adapters.mongo._mongod import MongodServer
from core.adapters.mongo._process import (
    ChildProcess,
    DirectoryLock,
    private_directory,
    write_private,
)
from core.errors import StoreUnavailable

__all__ = ["Kind", "RunningStore", "StoreServer", "launch", "read_store_file"]

Kind = Literal["external", "mongod", "embedded"]


@dataclass(frozen=True)
class StoreServer:
    """Where the store is.

    Attributes:
        uri: With the password: never to be logged or shown.
        kind: Who runs it.
        pid: The process that we started, None for an external one.
    """

    uri: str
    kind: Kind
    pid: int | None

    def __repr__(self) -> str:
        """Leave the URI out: it holds the password."""
        return f"StoreServer(kind={self.kind!r}, pid={self.pid})"


class RunningStore(Protocol):
    """A running store, until it is stopped."""

    @property
    def server(self) -> StoreServer:
        """Where it is now."""
        ...

    async def wait_dead(self) -> int:
        """Return the exit code when the server has ended by itself; an external one never does."""
        ...

    async def restart(self) -> StoreServer:
        """Start a server that died (or end and start a living one) on the same data.

        The port stays the same where it is still free, so that clients reconnect by themselves.

        Raises:
            StoreUnavailable: It did not come up. Trying again later is allowed.
        """
        ...

    async def stop(self) -> None:
        """End what was started, within six seconds. Harmless when called again."""
        ...


class _ExternalStore:
    """A server that Saarthi did not start: nothing to start, watch or stop."""

    def __init__(self, uri: str) -> None:
        self.server = StoreServer(uri=uri, kind="external", pid=None)

    async def wait_dead(self) -> int:
        """Wait forever."""
        while True:
            await asyncio.Event().wait()

    async def restart(self) -> StoreServer:
        """Refuse."""
        message = "the store at MONGODB_URI is not ours to restart"
        raise StoreUnavailable(message)

    async def stop(self) -> None:
        """Leave it alone."""


class _OwnStore:
    """A server that we started."""

    def __init__(
        self, starter: EmbeddedServer | MongodServer, lock: DirectoryLock, file: Path
    ) -> None:
        self._starter = starter
        self._lock = lock
        self._file = file
        self._child: ChildProcess | None = None
        self._server: StoreServer | None = None

    @property
    def server(self) -> StoreServer:
        """Where it is now."""
        if self._server is None:
            message = "the store was stopped"
            raise StoreUnavailable(message)
        return self._server

    async def start(self) -> StoreServer:
        self._child, uri = await self._starter.start()
        self._server = StoreServer(
            uri=uri, kind=cast("Kind", self._starter.kind), pid=self._child.pid
        )
        write_private(self._file, json.dumps(asdict(self._server)))
        return self._server

    async def wait_dead(self) -> int:
        """Return the exit code when the server has ended."""
        if self._child is None:
            message = "the store was stopped"
            raise StoreUnavailable(message)
        return await self._child.wait()

    async def restart(self) -> StoreServer:
        """Start the server again on the same data."""
        if self._server is None:
            message = "the store was stopped"
            raise StoreUnavailable(message)
        if self._child is not None:
            await self._child.stop()
        return await self.start()

    async def stop(self) -> None:
        """End the server and remove the file that says where it was."""
        try:
            if self._child is not None:
                await self._child.stop()
        finally:
            self._child = None
            self._server = None
            self._file.unlink(missing_ok=True)
            self._lock.release()


async def launch(
    data_dir: Path,
    *,
    uri: str | None,
    mongod: Path | None,
    lookup_path: bool = True,
    wait_s: float = 8.0,
) -> RunningStore:
    """Bring the store up; call from the main thread, whose end ends what was started.

    Args:
        data_dir: The data directory; what is started keeps its files in ``store/`` below it.
        uri: ``MONGODB_URI``; when set nothing is started.
        mongod: A mongod binary named in the settings.
        lookup_path: Whether a mongod on the PATH may be taken.
        wait_s: How long to wait for another process that still uses the directory: a controller
            that was just stopped needs up to six seconds.

    Raises:
        StoreUnavailable: Nothing came up, or another process uses this directory's store.
    """
    if uri:
        return _ExternalStore(uri)
    directory = private_directory(private_directory(data_dir) / "store")
    lock = DirectoryLock(directory)
    await lock.acquire(wait_s)
    try:
        store = _OwnStore(_starter(directory, lock, mongod, lookup_path), lock, _file(data_dir))
        await store.start()
    except BaseException:
        lock.release()
        raise
    return store


def _starter(
    directory: Path, lock: DirectoryLock, mongod: Path | None, lookup_path: bool
) -> EmbeddedServer | MongodServer:
    if mongod is not None:
        if not mongod.is_file():
            message = f"there is no mongod at {mongod}"
            raise StoreUnavailable(message)
        return MongodServer(mongod.resolve(), directory / "mongod", lock)
    if lookup_path and (found := shutil.which("mongod")):
        return MongodServer(Path(found).resolve(), directory / "mongod", lock)
    return EmbeddedServer(directory / "embedded", lock)


def _file(data_dir: Path) -> Path:
    return data_dir / "store.json"


def read_store_file(data_dir: Path) -> StoreServer | None:
    """Return the store that a running controller started under ``data_dir``, or None.

    A file that a killed controller left behind is ignored: no process holds its lock.
    """
    if not DirectoryLock.is_held(data_dir / "store"):
        return None
    try:
        found = json.loads(_file(data_dir).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return StoreServer(uri=found["uri"], kind=found["kind"], pid=found["pid"])
