"""Attacks from the same machine: links in place of files, secrets where others can read (G2)."""

from __future__ import annotations

import ast
import hmac
import stat
from pathlib import Path

import pytest

from bot.edge.authorization import Authorization
from bot.edge.pairing import Pairing, PairingResult, pairing_code
from console.cli import _parser
from core.adapters.mongo._process import private_directory, write_private
from core.adapters.vault import KEY_FILE, FernetVault
from core.adapters.zerodha import ZERODHA
from core.errors import ConfigurationError
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

ROOT = Path(__file__).parents[2]
SENSITIVE = ("token", "secret", "password", "key")


@pytest.mark.row("G2")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666, 0o601])
@pytest.mark.parametrize("is_link", [True, False])
def test_keys_that_others_could_read_are_refused(tmp_path: Path, mode: int, is_link: bool) -> None:
    """Behind a link too: what counts is the file that it leads to."""
    real = tmp_path / ("elsewhere" if is_link else KEY_FILE)
    FernetVault.from_setting(None, private_directory(tmp_path / "first"))
    real.write_text((tmp_path / "first" / KEY_FILE).read_text())
    real.chmod(mode)
    if is_link:
        (tmp_path / KEY_FILE).symlink_to(real)
    with pytest.raises(ConfigurationError):
        FernetVault.from_setting(None, tmp_path)


@pytest.mark.row("G2")
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703, 0o702])
def test_no_key_is_taken_from_where_others_put_theirs(tmp_path: Path, mode: int) -> None:
    """A key that somebody has laid there opens all that it seals, for them too."""
    data = tmp_path / "data"
    data.mkdir()
    vault = FernetVault.from_setting(None, private_directory(tmp_path / "theirs"))
    (data / KEY_FILE).write_text("\n".join(vault.keys()))
    (data / KEY_FILE).chmod(0o600)
    data.chmod(mode)
    with pytest.raises(ConfigurationError, match="others can put a key of theirs"):
        FernetVault.from_setting(None, data)
    data.chmod(0o700)
    assert FernetVault.from_setting(None, data).keys() == vault.keys()


@pytest.mark.row("G2")
def test_no_key_is_written_through_a_link(tmp_path: Path) -> None:
    """A link that leads nowhere yet, laid by another user, gets no key behind it."""
    trap = tmp_path / "trap"
    data = private_directory(tmp_path / "data")
    (data / KEY_FILE).symlink_to(trap)
    try:
        FernetVault.from_setting(None, data)
    except (ConfigurationError, OSError):
        assert not trap.exists()
    else:
        assert not trap.exists()
        assert stat.S_IMODE((data / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.row("G2")
def test_a_private_file_takes_the_place_of_a_link(tmp_path: Path) -> None:
    """What the link leads to is not written, and the new file is ours alone."""
    victim, link = tmp_path / "victim", tmp_path / "store.json"
    victim.write_text("kept")
    link.symlink_to(victim)
    draft = tmp_path / ".store.json.new"
    draft.symlink_to(victim)
    write_private(link, "password")
    assert victim.read_text() == "kept"
    assert not link.is_symlink() and stat.S_IMODE(link.stat().st_mode) == 0o600


@pytest.mark.row("G2")
def test_no_secret_is_an_argument_of_the_command() -> None:
    """Arguments of a process can be read by everybody on the machine."""
    options: set[str] = set()
    parsers = [_parser()]
    while parsers:
        for action in parsers.pop()._actions:
            if action.nargs != 0:  # a flag holds nothing
                options |= set(action.option_strings)
            if isinstance(action.choices, dict):
                parsers += action.choices.values()
    named = {one for one in options if any(word in one for word in SENSITIVE)}
    # Names of fields in an old database and paths of files, not what stands in them.
    assert {one for one in named if not one.endswith(("-field", "-file"))} == set()
    assert "--config" in options


@pytest.mark.row("G2")
async def test_codes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pairing code and a postback's signature: a comparison that stops early tells how far."""
    compared: list[int] = []
    real = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    store = MemoryStore()
    code = await pairing_code(store)
    pairing = Pairing(store, Authorization(store, ManualClock()))
    assert code is not None
    assert not await pairing.may_begin(1, {"text": f"/pair {code[:-1]}0"})
    assert await pairing.may_begin(1, {"text": f"/pair {code}"})
    assert await pairing.pair(None, None, "WRONG") is PairingResult.WRONG  # type: ignore[arg-type]
    assert compared == [8, 8, 8]
    assert ZERODHA.postback is not None
    body = {"order_id": "1", "order_timestamp": "2026-01-01 10:00:00", "user_id": "A"}
    found = ZERODHA.postback.read({**body, "checksum": "0" * 64})
    assert found is not None and not found.is_signed_with(b"secret")
    assert compared[3:] == [64]


@pytest.mark.parametrize(
    "place", ["bot", "webhooks", "console", "core/engine", "core/adapters", "core/domain"]
)
def test_no_shell_and_no_code_from_texts(place: str) -> None:
    """Nothing builds a command line or code from texts: no shell, eval, exec, pickle, yaml.load."""
    found = []
    for path in (ROOT / place).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            is_shell = any(one.arg == "shell" for one in node.keywords)
            if is_shell or name in {
                "eval",
                "exec",
                "os.system",
                "os.popen",
                "pickle.loads",
                "pickle.load",
                "marshal.loads",
                "yaml.load",
                "asyncio.create_subprocess_shell",
            }:
                found.append(f"{path.relative_to(ROOT)} {name}")
    # A strategy's process reads the controller's words; it answers in JSON.
    assert set(found) <= {"core/adapters/strategies/messages.py pickle.loads"}
