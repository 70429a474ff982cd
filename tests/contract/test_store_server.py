"""The store that Saarthi brings along: durable, private, alone on its directory, never orphaned."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bson
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from core.adapters.mongo import _embedded
from core.adapters.mongo._credentials import users
from core.adapters.mongo._embedded import require_synced_commits
from core.adapters.mongo._process import write_private
from core.adapters.mongo.server import RunningStore, StoreServer, launch, read_store_file
from core.errors import StoreUnavailable

PATIENCE_S = 60.0
UNAUTHORIZED = 13

PARENT = """
import asyncio, sys
from pathlib import Path
from pymongo import MongoClient
from core.adapters.mongo.server import launch

async def main():
    mongod = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    store = await launch(Path(sys.argv[1]), uri=None, mongod=mongod, lookup_path=mongod is None, wait_s=2)
    MongoClient(store.server.uri).kept.writes.insert_one({"_id": "acknowledged"})
    print(store.server.kind, store.server.pid, flush=True)
    await store.wait_dead()

asyncio.run(main())
"""


@pytest.fixture(params=["embedded", "mongod"])
def mongod(request: pytest.FixtureRequest) -> Path | None:
    """The binary to launch with: None brings the embedded server."""
    if request.param == "embedded":
        return None
    binary: Path = request.getfixturevalue("mongod_binary")
    return binary


@pytest.fixture
async def store(tmp_path: Path, mongod: Path | None) -> AsyncIterator[RunningStore]:
    """A running store under ``tmp_path``."""
    running = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    yield running
    await running.stop()


def client_of(server: StoreServer) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(server.uri, w="majority", journal=True)


def written_about(pid: int | None, what: str) -> bytes:
    """Return what the kernel tells about a process: ``cmdline`` or ``environ``."""
    return Path(f"/proc/{pid}/{what}").read_bytes()


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def parent_process(
    data_dir: Path, mongod: Path | None = None, **environment: str
) -> subprocess.Popen[str]:
    arguments = [str(data_dir)] + ([str(mongod)] if mongod else [])
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def end(parent: subprocess.Popen[str]) -> None:
    parent.kill()
    parent.communicate(timeout=PATIENCE_S)


@pytest.mark.row("F5")
async def test_acknowledged_writes_survive_kill_of_server(store: RunningStore) -> None:
    """What was acknowledged before kill -9 is there after a restart, through the same client."""
    async with client_of(store.server) as client:
        for number in range(20):
            await client.kept.writes.insert_one({"_id": number})
        pid = store.server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert await store.wait_dead() == -signal.SIGKILL
        before = store.server
        after = await store.restart()
        assert after.pid != before.pid
        assert after.uri == before.uri
        assert await client.kept.writes.count_documents({}) == 20


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a program does that speaks another language; mongod waits half a minute for silence."""
    writer.close()


@pytest.mark.row("F5")
async def test_restart_takes_another_port_when_the_old_one_is_gone(store: RunningStore) -> None:
    """A program that grabbed the dead server's port does not keep the store down."""
    address = urlsplit(store.server.uri)
    async with client_of(store.server) as client:
        await client.kept.writes.insert_one({"_id": "one"})
    assert store.server.pid is not None
    os.kill(store.server.pid, signal.SIGKILL)
    await store.wait_dead()
    async with await asyncio.start_server(hang_up, "127.0.0.1", address.port):
        after = await store.restart()
        assert urlsplit(after.uri).port != address.port
        async with client_of(after) as client:
            assert await client.kept.writes.find_one({}) == {"_id": "one"}


@pytest.mark.row("F5")
async def test_data_survives_a_stop_and_a_new_launch(tmp_path: Path, mongod: Path | None) -> None:
    """A new launch finds the old data, whatever port it gets; without the password it is refused.

    A copy without the private file is neither opened nor emptied: brought back, it opens the data.
    """
    first = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    kind = first.server.kind
    async with client_of(first.server) as client:
        await client.kept.writes.insert_one({"_id": "one"})
    await first.stop()
    confirmed = tmp_path / "store" / kind / "credentials"
    confirmed.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match=r"credentials.* is missing.*bring that file back"):
        await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    (tmp_path / "elsewhere").rename(confirmed)
    second = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    try:
        async with client_of(second.server) as client:
            assert await client.kept.writes.find_one({}) == {"_id": "one"}
            await client.kept.writes.insert_one({"_id": "two"})
    finally:
        await second.stop()


async def test_second_process_on_the_same_directory_is_refused(
    store: RunningStore, tmp_path: Path
) -> None:
    """While one process runs the store of a directory, another cannot, and the first goes on."""
    other = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", PARENT, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await asyncio.wait_for(other.communicate(), 2 * PATIENCE_S)
    assert other.returncode == 1
    assert "is in use by another process" in complaint.decode()
    assert read_store_file(tmp_path) == store.server
    async with client_of(store.server) as client:
        await client.admin.command("ping")


async def test_everything_written_is_private(store: RunningStore, tmp_path: Path) -> None:
    """No file or directory of the store can be read or entered by another user."""
    async with client_of(store.server) as client:
        await client.kept.writes.insert_one({})
    modes: dict[Path, int] = {}
    for path in list(tmp_path.rglob("*")):
        with contextlib.suppress(
            FileNotFoundError
        ):  # the server works, and removes files of its own
            modes[path] = path.stat().st_mode
    assert tmp_path / "store.json" in modes
    open_to_others = [str(path) for path, mode in modes.items() if mode & 0o077]
    assert open_to_others == []
    assert stat.S_IMODE((tmp_path / "store.json").stat().st_mode) == 0o600


@pytest.mark.row("F5")
async def test_nothing_is_left_after_stop(tmp_path: Path, mongod: Path | None) -> None:
    """After a stop no process, no store.json and no lock is left; a second stop does nothing."""
    store = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    pid = store.server.pid
    assert pid is not None
    assert is_running(pid)
    assert read_store_file(tmp_path) == store.server
    await store.stop()
    await store.stop()
    assert not is_running(pid)
    assert not (tmp_path / "store.json").exists()
    assert read_store_file(tmp_path) is None
    with pytest.raises(StoreUnavailable):
        await store.restart()


@pytest.mark.row("F5")
async def test_nothing_is_left_after_kill_of_parent(tmp_path: Path, mongod: Path | None) -> None:
    """A kill -9 of the controller ends its server too, loses nothing, and frees the directory."""
    parent = parent_process(tmp_path, mongod)
    try:
        assert parent.stdout is not None
        kind, pid = parent.stdout.readline().split()
        assert kind == ("mongod" if mongod else "embedded")
        assert is_running(int(pid))
    finally:
        end(parent)
    until(lambda: not is_running(int(pid)))
    assert (tmp_path / "store.json").exists()
    until(lambda: read_store_file(tmp_path) is None)  # what a killed process left is not believed
    store = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    try:
        async with client_of(store.server) as client:
            assert await client.kept.writes.find_one({}) == {"_id": "acknowledged"}
    finally:
        await store.stop()


async def test_no_stranger_gets_in(store: RunningStore) -> None:
    """Without the password nothing can be read, and the password is wherever others could look."""
    address = urlsplit(store.server.uri)
    assert address.hostname == "127.0.0.1"
    anonymous = f"mongodb://127.0.0.1:{address.port}/?directConnection=true"
    async with AsyncMongoClient[dict[str, Any]](anonymous) as client:
        with pytest.raises(OperationFailure) as refusal:
            await client.kept.writes.find_one({})
    assert refusal.value.code == UNAUTHORIZED
    assert address.password
    assert address.password not in repr(store.server)
    assert address.password.encode() not in written_about(store.server.pid, "cmdline")


@pytest.mark.row("G2")
def test_server_inherits_no_secret(tmp_path: Path) -> None:
    """What our environment holds (the key of the vault, the bot's token) is not handed on."""
    parent = parent_process(tmp_path, SAARTHI_SECRET_KEY="the-key-of-the-vault")
    try:
        assert parent.stdout is not None
        _, pid = parent.stdout.readline().split()
        assert b"the-key-of-the-vault" not in written_about(int(pid), "environ")
    finally:
        end(parent)


async def test_other_users_of_the_server_are_refused(tmp_path: Path, mongod: Path | None) -> None:
    """A user whom Saarthi did not make (somebody may race the first start) stops the start."""
    store = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    async with client_of(store.server) as client:
        await client.admin.command("createUser", "stranger", pwd="x", roles=["root"])
    await store.stop()
    with pytest.raises(StoreUnavailable, match="stranger"):
        await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    assert read_store_file(tmp_path) is None


async def test_first_start_that_was_cut_short_is_repeated(
    tmp_path: Path, mongod: Path | None
) -> None:
    """A crash after the user was made and before that was remembered does not lock us out."""
    store = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    kind = store.server.kind
    await store.stop()
    confirmed = tmp_path / "store" / kind / "credentials"
    confirmed.rename(confirmed.with_name("credentials.draft"))
    again = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    try:
        async with client_of(again.server) as client:
            await client.kept.writes.insert_one({})
    finally:
        await again.stop()


async def answer(port: int, context: ssl.SSLContext | None) -> bytes:
    """Ping a server without any right; return the beginning of its answer, b'' for none."""
    command = bson.encode({"ping": 1, "$db": "admin"})
    head = struct.pack("<iiiiIb", 21 + len(command), 1, 0, 2013, 0, 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(head + command)
        found = await asyncio.wait_for(reader.read(4), PATIENCE_S)
        writer.close()
    except (OSError, ssl.SSLError):
        return b""
    return found


@pytest.mark.row("F5", "G1")
async def test_nobody_else_can_connect_during_the_first_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the embedded server knows a user it asks for a certificate, gone after that start."""
    open_to: list[bytes] = []
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE

    async def watched(client: AsyncMongoClient[dict[str, Any]]) -> list[tuple[str, str]]:
        address = await client.address
        assert address is not None
        open_to.extend([await answer(address[1], context) for context in (None, anybody)])
        return await users(client)

    monkeypatch.setattr(_embedded, "users", watched)
    store = await launch(tmp_path, uri=None, mongod=None, lookup_path=False)
    try:
        assert open_to == [b"", b""]
        assert await answer(int(urlsplit(store.server.uri).port or 0), None) != b""
        assert not (tmp_path / "store" / "embedded" / "first-start").exists()
        async with client_of(store.server) as client:
            assert await client.saarthi.users.count_documents({}) == 0
    finally:
        await store.stop()


@pytest.mark.row("F5", "G1")
async def test_nothing_of_others_survives_the_first_start(
    tmp_path: Path, mongod: Path | None
) -> None:
    """Who writes before our user exists (an owner of the bot, a user, a role) leaves nothing."""
    store = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    kind = store.server.kind
    async with client_of(store.server) as client:
        await client.saarthi.users.insert_one({"_id": "666", "user_id": 666, "role": "owner"})
        await client.evil.things.insert_one({})
        await client.admin.things.insert_one({})
        await client.admin.command("createUser", "stranger", pwd="x", roles=["root"])
    await store.stop()
    # As it is when the first start was not at its end: the user is made, and not yet ours to use.
    confirmed = tmp_path / "store" / kind / "credentials"
    confirmed.rename(confirmed.with_name("credentials.draft"))
    first = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    try:
        async with client_of(first.server) as client:
            assert set(await client.list_database_names()) <= {"admin", "local", "config"}
            assert "things" not in await client.admin.list_collection_names()
            assert await client.saarthi.users.count_documents({}) == 0
    finally:
        await first.stop()
    # Moved aside, not removed: no start destroys data.
    (aside,) = (tmp_path / "store" / kind).glob("data-set-aside-*")
    assert any(aside.iterdir())


@pytest.mark.row("F5")
async def test_given_store_is_left_alone(tmp_path: Path) -> None:
    """With MONGODB_URI nothing is started, written, watched or stopped."""
    uri = "mongodb://db.invalid:27017/?replicaSet=rs0"
    store = await launch(tmp_path, uri=uri, mongod=None)
    assert store.server == StoreServer(uri=uri, kind="external", pid=None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await store.wait_dead()
    with pytest.raises(StoreUnavailable):
        await store.restart()
    await store.stop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.row("F5")
async def test_mongod_on_the_path_is_taken(tmp_path: Path, mongod_binary: Path) -> None:
    """A mongod that the PATH knows is preferred to the embedded server."""
    parent = parent_process(tmp_path, PATH=f"{mongod_binary.parent}:{os.environ['PATH']}")
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline().split()[0] == "mongod"
    finally:
        end(parent)


@pytest.mark.row("F5")
@pytest.mark.parametrize("named", ["missing", "broken"])
async def test_named_mongod_that_does_not_work_is_an_error(tmp_path: Path, named: str) -> None:
    """A setting that names no working mongod stops the start; nothing else is taken instead."""
    binary = tmp_path / "mongod"
    if named == "broken":
        binary.write_text("#!/bin/sh\necho the disk is on fire\nexit 3\n", encoding="utf-8")
        binary.chmod(0o755)
    expected = "the disk is on fire" if named == "broken" else "there is no mongod"
    with pytest.raises(StoreUnavailable, match=expected):
        await launch(tmp_path / "data", uri=None, mongod=binary)
    assert read_store_file(tmp_path / "data") is None


def test_server_without_synced_commits_is_refused() -> None:
    """An embedded server that acknowledges before it has written is not used."""
    with pytest.raises(StoreUnavailable, match="sync-on-commit"):
        require_synced_commits(["python3", "secantusd-py", "--auth"])
    require_synced_commits(["python3", "secantusd-py", "--sync-on-commit", "--auth"])


async def test_embedded_server_really_syncs(tmp_path: Path) -> None:
    """The running process has the flag that makes acknowledged commits durable."""
    store = await launch(tmp_path, uri=None, mongod=None, lookup_path=False)
    try:
        arguments = written_about(store.server.pid, "cmdline").split(b"\0")
        assert b"--sync-on-commit" in arguments
        assert b"--auth" in arguments
        options = urlsplit(store.server.uri).query.split("&")
        assert {"directConnection=true", "retryWrites=false"} <= set(options)
    finally:
        await store.stop()


def test_start_from_a_passing_thread_is_refused(tmp_path: Path) -> None:
    """A server started from a thread would die with the thread: that is refused at once."""
    raised: list[BaseException] = []

    def start() -> None:
        try:
            asyncio.run(launch(tmp_path, uri=None, mongod=None, lookup_path=False))
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(PATIENCE_S)
    assert len(raised) == 1
    assert "main thread" in str(raised[0])
    assert read_store_file(tmp_path) is None


def test_private_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A new store.json takes the old one's place with its own mode, whatever the old one had."""
    path = tmp_path / "store.json"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o644)
    write_private(path, json.dumps({"new": True}))
    assert json.loads(path.read_text(encoding="utf-8")) == {"new": True}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_embedded_store_of_before_goes_on_without_a_log_of_all_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads such a log: it would cost each commit, the disk, and each start."""
    present = _embedded._CONFIG
    monkeypatch.setattr(_embedded, "_CONFIG", present.replace("standalone = true\n", ""))
    written = []
    for number, config in enumerate((_embedded._CONFIG, present)):
        monkeypatch.setattr(_embedded, "_CONFIG", config)
        store = await launch(tmp_path, uri=None, mongod=None, lookup_path=False)
        try:
            async with client_of(store.server) as client:
                await client.kept.writes.insert_one({"_id": number})
                assert await client.kept.writes.count_documents({}) == number + 1
                written.append(await client.local["oplog.rs"].count_documents({}) > 0)
        finally:
            await store.stop()
    assert written == [True, False]
