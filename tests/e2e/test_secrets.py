"""Secrets through a bad day of the real programs: where they may not be, they are not found.

Two accounts are added through the chat, one gets a proxy, a login fails on a wrong
secret, one is pasted, one is spent twice, orders meet broken answers, a login ends, Telegram and the
proxy stumble, a backup is taken; all of it at the loudest log level. Then everything that the
programs wrote, showed or handed on is searched for every secret there was.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
import pymongo
import pytest
from cryptography.fernet import Fernet

from console.demo.actor import Actor
from console.demo.browser import _submit
from console.demo.chat import ChatError
from console.demo.connecting import add
from console.demo.operator import Operator
from console.demo.stage import CHAT
from core.adapters.clock import clock_from_setting
from core.adapters.mongo.server import StoreServer, read_store_file
from core.domain.route import ProxyKind
from tests.fakes.clock import clock_text
from tests.fakes.demo import command_lines_below
from tests.fakes.installation import TOKEN, Installation
from tests.fakes.ports import free_port
from tests.fakes.proxies import PASSWORD, RunningProxy, running_proxy
from tests.fakes.sandbox_process import ROOT, Sandbox, eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="arguments are read in /proc"),
]

BREAKOUT = "2026-11-23T09:31:02+05:30"
"""The run of this minute enters."""
SLOW = 0.05
KEY = Fernet.generate_key().decode()
STRATEGY = "Opening range breakout"
OF_THE_STORE = {"store.json", "credentials"}
"""Files that keep the password of the store's server, for their owner's eyes alone."""
OTHER_SECRET = "canarysecretnowother0001"
NOISY_SECRET = "canarysecretinnoise0001"
NOBODYS = "canarytokenofnobody0001"
WRONG_PROXY = "canarypasswordofnoproxy1"
PASSPHRASE = "canary passphrase of the day"
PAGES: list[str] = []
"""What our web server answered to the browsers of the day."""
SHORTEST = 10
"""No secret is shorter, so that none is found by chance."""


class Arguments:
    """Notes, in a thread, the command line of every process below this one, and what is handed on.

    That is the environment of each process that the controller started.
    """

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.environments: dict[str, bytes] = {}
        self.controller = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            lines = command_lines_below(os.getpid()).values()
            # The proxy is another's program; this test itself starts it with its password.
            self.seen.update(line for line in lines if "pproxy" not in line)
            if self.controller:
                self._look_below(self.controller)

    def _look_below(self, pid: int) -> None:
        for child, line in command_lines_below(pid).items():
            with contextlib.suppress(OSError):
                self.environments[line] = Path(f"/proc/{child}/environ").read_bytes()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@dataclass
class Scene:
    """The simulators, the installation, the user, and what the controller writes."""

    sandbox: Sandbox
    here: Installation
    directory: Path
    operator: Operator
    arguments: Arguments
    actors: tuple[Actor, Actor]
    pages: list[str]
    proxy: RunningProxy
    links: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What the controller wrote to standard error and standard output."""
        paths = (self.directory / "err", self.directory / "out")
        return "".join(path.read_text(encoding="utf-8") for path in paths)

    def issued(self, kind: str, name: str) -> list[str]:
        """Return what the simulated brokers made: ``session`` tokens, login ``code``s."""
        found = {}
        for line in (self.directory / "sandbox" / "state.jsonl").read_text().splitlines():
            group, key, value = json.loads(line)
            if group == kind and value:
                found[key] = str(value[name])
        return sorted(set(found.values()))

    def register(self, actor: Actor, secret: str) -> None:
        """Make the broker know an app, or change its secret."""
        fields = {"broker": actor.broker, "api_key": actor.api_key, "user_id": actor.user_id}
        more = {"api_secret": secret, "redirect_url": actor.redirect_url, "cash": 500_000}
        self.sandbox.ask("POST", "/accounts", {**fields, **more})


@contextlib.contextmanager
def running(here: Installation, directory: Path, arguments: Arguments) -> Iterator[None]:
    """Run the controller until the block ends; it must end well."""
    with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "console", "run"],
            cwd=ROOT,
            env=here.environment,
            stdout=out,
            stderr=err,
        )
        arguments.controller = process.pid
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(300) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def actors_of(public_url: str) -> tuple[Actor, Actor]:
    callback = f"{public_url}/broker/callback/"
    keys = ("canarykey0000001", "canarysecretofkite0000000000001a", "CA0001", f"{callback}zerodha")
    app = ("CANARY0001-100", "CANARYSECRETFYERS1", "CF00001", f"{callback}fyers")
    return Actor("kite", "Zerodha", "Main", *keys), Actor("fyers", "Fyers", "Growth", *app)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Everything stands, at the loudest log level; no account is connected."""
    port = free_port()
    PAGES.clear()
    clock = clock_text(BREAKOUT, SLOW)
    sandbox = Sandbox("--state", str(tmp_path / "sandbox"), clock=clock)
    url = f"http://127.0.0.1:{port}"
    here = Installation(sandbox, tmp_path / "data", clock)
    here.extra = {
        "SAARTHI_PUBLIC_URL": url,
        "SAARTHI_LISTEN": f"127.0.0.1:{port}",
        "SAARTHI_SECRET_KEY": KEY,
        "SAARTHI_LOG": "DEBUG",
        "SAARTHI_WARNING_INTERVAL_S": "5",
        "SAARTHI_HORIZON_S": "3",
        "SAARTHI_BACKUP_PASSPHRASE": PASSPHRASE,
        "SAARTHI_ADDRESS_ECHO": "off",
    }
    try:
        with running_proxy() as proxy, Arguments() as arguments, running(here, tmp_path, arguments):
            async with httpx.AsyncClient(
                base_url=sandbox.url("control"), trust_env=False, timeout=60
            ) as http:
                operator = Operator(http, clock_from_setting(clock).market_now)
                actors = actors_of(url)
                made = Scene(sandbox, here, tmp_path, operator, arguments, actors, PAGES, proxy)
                await until_healthy(url)
                yield made
    finally:
        sandbox.end()


async def until_healthy(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(150):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get(f"{url}/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


# --- a bad day ---------------------------------------------------------------------------------


def note(answer: httpx.Response) -> httpx.Response:
    """Note what our web server answered: the page, and all its headers."""
    PAGES.append(f"{answer.headers.multi_items()}\n{answer.text}")
    return answer


async def landing(address: str, user_id: str) -> str:
    """Log in at the broker, and return the address to which it sends the browser, unvisited."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        ours = note(await http.get(address))
        onward = note(await _submit(http, ours, {}))
        brokers = await http.get(onward.headers["Location"])
        answer = await _submit(http, brokers, {"user_id": user_id, "action": "allow"})
    return str(answer.headers["Location"])


async def visit(address: str) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return note(await http.get(address)).status_code


async def login_button(scene: Scene, label: str) -> str:
    """Ask the chat for an account's login and return where the button leads."""
    page = await scene.operator.say("/login", button=label)
    button = page.button(label)
    assert button is not None and button.url
    scene.links.append(button.url.rpartition("/")[2])
    return button.url


async def connect(scene: Scene) -> None:
    """Add both; the first login of one meets another secret at the broker."""
    do, (zerodha, fyers) = scene.operator, scene.actors
    scene.register(zerodha, OTHER_SECRET)
    scene.register(fyers, fyers.api_secret)
    added = await add(do, zerodha)
    with pytest.raises(ChatError, match="secret"):
        await do.logs_in(added, zerodha.label, zerodha.user_id)
    scene.register(zerodha, zerodha.api_secret)
    again = await login_button(scene, zerodha.label)
    assert await visit(await landing(again, zerodha.user_id)) == 200
    added = await add(do, fyers)
    await do.logs_in(added, fyers.label, fyers.user_id)
    await leave_by_the_proxy(scene, fyers)
    page = await do.say("/brokers", "Your accounts", zerodha.label, fyers.label)
    for actor in (zerodha, fyers):
        page = await do.tap(
            page, f"Enable {actor.name}", "Your accounts", button=f"Disable {actor.name}"
        )


async def leave_by_the_proxy(scene: Scene, actor: Actor) -> None:
    """Give an account a proxy that is none, then one that does not let it in, then the right one."""
    do, proxy = scene.operator, scene.proxy.as_(ProxyKind.SOCKS5)
    there = f"127.0.0.1:{proxy.port}"
    for given, answer in (
        (f"ftp://{proxy.user}:{WRONG_PROXY}@{there}", "no address of a proxy"),
        (f"http://{proxy.user}:{WRONG_PROXY}@{there}", actor.label),
        (
            f"socks5://{proxy.user}:{proxy.password}@{there}",
            f"leaves from the proxy socks5://{there}",
        ),
    ):
        page = await do.say("/brokers", "Your accounts", button=f"Edit {actor.name}")
        page = await do.tap(page, f"Edit {actor.name}", actor.label, button="Address")
        page = await do.tap(page, "Address", f"Address of {actor.label}", button="Leave from …")
        page = await do.tap(page, "Leave from …", "From where shall", button="A proxy …")
        await do.tap(page, "A proxy …", "socks5://user:password@host:1080")
        await do.sends_secret(given, answer)


async def trade_badly(scene: Scene) -> None:
    """Orders are answered by a 500 and by a web page; Telegram fails to take what is told of it."""
    do, sandbox = scene.operator, scene.sandbox
    sandbox.fault("http", "kite", match={"method": "POST", "path": "/orders"}, status=500)
    sandbox.fault("html", "fyers", match={"method": "POST", "path": "/orders/sync"})
    page = await do.say("/strategies", STRATEGY)
    page = await do.tap(page, STRATEGY, STRATEGY, button="Run now")
    asked = await do.tap(page, "Run now", STRATEGY, button="Run it now")
    for kind in ("reset_before", "malformed"):
        sandbox.fault(kind, "telegram", match={"path": "/sendMessage"})
    await do.tap(asked, "Run it now", "runs now")
    eventually(lambda: {row["broker"] for row in scene.here.ledger()} >= {"kite", "fyers"})


async def expire_and_paste(scene: Scene) -> None:
    """Both logins end; addresses are pasted into the chat, a spent one too, and one is visited."""
    do, (zerodha, fyers) = scene.operator, scene.actors
    for actor in (zerodha, fyers):
        await do.chat.look()
        mark = do.chat.mark
        fields = {"broker": actor.broker, "api_key": actor.api_key}
        scene.sandbox.ask("POST", "/tokens/expire", fields)
        await do.sees("Login needed", actor.label, since=mark, button="Log in")
        landed = await landing(await login_button(scene, actor.label), actor.user_id)
        await do.sends_secret(landed, actor.label, "is logged in")
        await do.sends_secret(landed, "used already")
        assert await visit(landed) >= 400
    assert await visit(f"{zerodha.redirect_url}?request_token={NOBODYS}") >= 400


async def type_into_noise(scene: Scene) -> None:
    """A secret is typed just when Telegram's answer to a poll arrives broken."""
    do = scene.operator
    asked = await do.say("/add", "With which broker?", button="Zerodha")
    guide = await do.tap(asked, "Zerodha", "redirect URL", button="Continue")
    await do.tap(guide, "Continue", "What shall I call this account?")
    await do.say("Third", "Send the", "step 3")
    # The poll that is open brings the key; the next one, which brings the secret, is struck.
    scene.sandbox.fault("malformed", "telegram", match={"path": "/getUpdates"})
    await do.say("canarykey0000003", "Send the", "step 4")
    # What broke off is the end, so the secret stands before it.
    sent = await do.chat.send(f"{NOISY_SECRET} {'is the secret of my app ' * 30}")
    await do.waits(lambda: do.chat.is_deleted(sent), "the secret's message to be deleted")
    assert scene.sandbox.ask("GET", "/faults") == []
    await do.say("/cancel", "Cancelled")


# --- what may not be found, and where ----------------------------------------------------------


def secrets_of(scene: Scene, store: StoreServer) -> dict[str, str]:
    """Return every secret of the day by a name that an assertion may show."""
    zerodha, fyers = scene.actors
    found = {
        "Zerodha's API secret": zerodha.api_secret,
        "the refused secret": OTHER_SECRET,
        "Fyers' secret": fyers.api_secret,
        "Fyers' appIdHash": digest(f"{fyers.api_key}:{fyers.api_secret}"),
        "the bot's token": TOKEN.partition(":")[2],
        "SAARTHI_SECRET_KEY": KEY,
        "the store's password": str(urlsplit(store.uri).password),
        "the secret in the noise": NOISY_SECRET,
        "a code of nobody": NOBODYS,
        "the proxy's password": PASSWORD,
        "the password of no proxy": WRONG_PROXY,
        "the passphrase of backups": PASSPHRASE,
    }
    for number, token in enumerate(scene.issued("session", "token")):
        found[f"access token {number}"] = token
    for number, code in enumerate(scene.issued("code", "code")):
        found[f"login code {number}"] = code
        checksum = digest(zerodha.api_key + code + zerodha.api_secret)
        found[f"checksum {number}"] = checksum
    assert all(len(secret) >= SHORTEST for secret in found.values())
    return found


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def leaks(secrets: dict[str, str], places: dict[str, str | bytes]) -> list[str]:
    """Return which secret stands where, as it is or as it stands in an address."""
    found = []
    for name, secret in secrets.items():
        forms = {form.encode() for form in (secret, quote(secret, safe=""))}
        for place, content in places.items():
            text = content.encode() if isinstance(content, str) else content
            found += [f"{name} in {place}" for form in forms if form in text]
    return found


def documents(store: StoreServer) -> dict[str, str | bytes]:
    """Return every collection of the store as text."""
    with pymongo.MongoClient[dict[str, Any]](store.uri) as client:
        database = client["saarthi"]
        return {
            f"collection {name}": json.dumps(list(database[name].find()), default=str)
            for name in database.list_collection_names()
        }


def files(data: Path) -> dict[str, str | bytes]:
    """Return the files of an installation, those left out that keep the store's own password."""
    found: dict[str, str | bytes] = {}
    for path in data.rglob("*"):
        if not path.is_file():
            continue
        if path.name in OF_THE_STORE:
            assert path.stat().st_mode & 0o077 == 0, f"{path.name} is open to others"
            continue
        with contextlib.suppress(
            FileNotFoundError
        ):  # the store works, and removes files of its own
            found[f"file {path.relative_to(data)}"] = path.read_bytes()
    return found


def sealed_in(text: str | bytes) -> set[str]:
    """Return what the sealed texts of a collection say."""
    assert isinstance(text, str)
    fernet = Fernet(KEY)
    return {fernet.decrypt(one).decode() for one in re.findall(r"gAAAA[\w=-]+", text)}


@pytest.mark.row("G2")
@pytest.mark.invariant("I12")
async def test_no_secret_leaves_through_a_bad_day(scene: Scene) -> None:
    """No log line, message, notice, process argument or stored text holds a secret in the open."""
    await connect(scene)
    await trade_badly(scene)
    await expire_and_paste(scene)
    await type_into_noise(scene)
    backup = scene.here.run("backup")
    assert backup.returncode == 0, backup.stderr

    store = read_store_file(scene.here.data)
    assert store is not None
    secrets = secrets_of(scene, store)
    talk = scene.sandbox.ask("GET", "/telegram/transcript", chat_id=CHAT)
    kept = documents(store)
    places = {
        "the chat": json.dumps(talk, ensure_ascii=False),
        "the calls of the Bot API": json.dumps(scene.sandbox.ask("GET", "/telegram/calls")),
        "the web pages": "\n".join(scene.pages),
        "the log": scene.log,
        "a process argument": "\n".join(scene.arguments.seen),
        "the environment of a child": b"\n".join(scene.arguments.environments.values()),
        "what backup said": backup.stdout + backup.stderr,
        **kept,
        **files(scene.here.data),
    }
    assert leaks(secrets, places) == []
    # Chat, pages and store hold the links of login pages; nothing else does.
    links = {f"login link {number}": link for number, link in enumerate(scene.links)}
    backups = {place: text for place, text in places.items() if place.endswith(".backup")}
    quiet = ("the log", "a process argument", "the environment of a child", "what backup said")
    assert leaks(links, {place: places[place] for place in quiet} | backups) == []

    # The search looked at what it says: the day was bad, and its traces are there.
    assert len(scene.issued("session", "token")) >= 4
    assert len(scene.issued("code", "code")) >= 5
    assert any("is connected" in page for page in scene.pages)
    assert any("What to do" in page for page in scene.pages)
    assert {"outbox", "inbox", "broker_accounts", "orders"} <= {n.split()[-1] for n in kept}
    assert any("-m console run" in line for line in scene.arguments.seen)
    assert len(backups) == 1 and len(scene.links) == 3
    children = scene.arguments.environments
    assert any("strategies.worker" in line and found for line, found in children.items())
    for said in ("/broker/callback/zerodha", "/broker/callback/fyers", "/login/", "POST"):
        assert said in scene.log
    assert not re.search(r"/login/[A-Za-z0-9_-]{16}", scene.log)
    sealed = sealed_in(kept["collection broker_accounts"])
    tokens = set(scene.issued("session", "token"))
    assert {one.api_secret for one in scene.actors} <= sealed
    assert any(PASSWORD in one for one in sealed)
    assert len(tokens & sealed) == 2
    mine = [one for one in talk["messages"] if one["from"] == "user"]
    assert sum(one["deleted"] and not one["text"] for one in mine) >= 6


def test_the_search_finds_a_leak() -> None:
    """A secret is found as it is, and quoted as addresses have it; elsewhere nothing is."""
    secrets = {"s": "canary+secret/1", "t": "canarytoken"}
    places: dict[str, str | bytes] = {
        "log": 'GET /x?api_secret=canary%2Bsecret%2F1"',
        "chat": "hello",
        "file": b"\x00\x01canarytoken\xff",
    }
    assert leaks(secrets, places) == ["s in log", "t in file"]
