"""A mongod binary of the user's, run as a one-node replica set on loopback.

Authentication is by key file from the first start; the localhost exception lets us initiate the
set and make the one user. The member's address holds the port, so a port that had to change is
written into the set's configuration by force.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from core.adapters.mongo._credentials import (
    USER,
    StoreCredentials,
    connected,
    empty_all,
    require_sole_user,
    server_uri,
)
from core.adapters.mongo._process import (
    ChildProcess,
    DirectoryLock,
    free_port,
    private_directory,
    write_private,
)
from core.errors import StoreUnavailable

__all__ = ["MongodServer"]

_SET = "saarthi"
_START_S = 60.0
_POLL_S = 0.05
_NOT_YET_INITIALISED = 94
_OPTIONS = {"directConnection": "true"}


class MongodServer:
    """Starts a mongod on a directory, keeping its port over restarts where it can."""

    kind = "mongod"

    def __init__(self, binary: Path, directory: Path, lock: DirectoryLock) -> None:
        self._binary = binary
        self._directory = private_directory(directory)
        self._lock = lock
        self._credentials = StoreCredentials(self._directory / "credentials")
        self._port = 0

    async def start(self) -> tuple[ChildProcess, str]:
        """Start the server and make it primary; return it and its URI.

        Raises:
            StoreUnavailable: It did not come up; the message ends with what it said.
        """
        is_first = self._credentials.begin(self._directory / "data")
        self._port = free_port(self._port)
        child = self._spawn(self._port)
        try:
            async with asyncio.timeout(_START_S):
                uri = await self._prepare(child, self._port, is_first=is_first)
        except TimeoutError:
            child.kill()
            message = f"mongod did not come up in {_START_S:.0f} s: {child.complaint()}"
            raise StoreUnavailable(message) from None
        except BaseException:
            child.kill()
            raise
        return child, uri

    def _spawn(self, port: int) -> ChildProcess:
        key = self._directory / "keyfile"
        if not key.exists():
            write_private(key, secrets.token_hex(48))
        config = self._directory / "mongod.conf"
        write_private(config, json.dumps(self._config(port, key), indent=1))  # JSON is YAML
        return ChildProcess.start(
            [str(self._binary), f"--config={config}"],
            directory=self._directory,
            log=self._directory / "server.log",
            lock=self._lock,
        )

    def _config(self, port: int, key: Path) -> dict[str, Any]:
        return {
            "net": {"bindIp": "127.0.0.1", "port": port, "unixDomainSocket": {"enabled": False}},
            "replication": {"replSetName": _SET, "oplogSizeMB": 64},
            "security": {"keyFile": str(key)},
            "setParameter": {"diagnosticDataCollectionEnabled": False},
            "storage": {
                "dbPath": str(private_directory(self._directory / "data")),
                "wiredTiger": {"engineConfig": {"cacheSizeGB": 0.25}},
            },
            "systemLog": {"quiet": True},
        }

    async def _prepare(self, child: ChildProcess, port: int, *, is_first: bool) -> str:
        await _wait_for_port(child, port)
        if is_first:
            await self._initiate(port)
        uri = server_uri(port, self._credentials.password(), _OPTIONS)
        async with connected(uri) as client:
            await _claim_address(client, port)
            await _wait_until_primary(client)
            if is_first:
                await empty_all(client)
            await require_sole_user(client)
        self._credentials.confirm()
        return uri

    async def _initiate(self, port: int) -> None:
        """Through the localhost exception: the set, then the user that ends the exception."""
        password = self._credentials.draft()
        async with connected(server_uri(port, None, _OPTIONS)) as client:
            member = {"_id": 0, "host": f"127.0.0.1:{port}"}
            await client.admin.command("replSetInitiate", {"_id": _SET, "members": [member]})
            await _wait_until_primary(client)
            await client.admin.command("createUser", USER, pwd=password, roles=["root"])


async def _wait_for_port(child: ChildProcess, port: int) -> None:
    while child.exit_code is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_POLL_S)
            continue
        writer.close()
        return
    message = f"mongod ended at once with code {child.exit_code}: {child.complaint()}"
    raise StoreUnavailable(message)


async def _claim_address(client: AsyncMongoClient[dict[str, Any]], port: int) -> None:
    """Write the present port into the set's configuration when it is another one.

    A server that finds itself under another port leaves its set and closes every connection, at
    whatever moment of this; the start's own deadline bounds how often it is tried.
    """
    while True:
        try:
            config = await _set_config(client)
            host = f"127.0.0.1:{port}"
            if config["members"][0]["host"] == host:
                return
            config["members"][0]["host"] = host
            config["version"] += 1
            await client.admin.command("replSetReconfig", config, force=True)
        except ConnectionFailure:
            # Perhaps it took effect: the next look says.
            await asyncio.sleep(_POLL_S)
        else:
            return


async def _set_config(client: AsyncMongoClient[dict[str, Any]]) -> dict[str, Any]:
    while True:
        try:
            reply = await client.admin.command("replSetGetConfig")
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALISED:
                raise
            await asyncio.sleep(_POLL_S)
        else:
            return dict(reply["config"])


async def _wait_until_primary(client: AsyncMongoClient[dict[str, Any]]) -> None:
    while True:
        try:
            hello = await client.admin.command("hello")
        except ConnectionFailure:  # an election closes connections
            hello = {}
        if hello.get("isWritablePrimary"):
            return
        await asyncio.sleep(_POLL_S)
