"""The overrides of docs/decisions/0001-dependencies.md: what is dropped is never needed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.architecture.test_repository import LOCKS, ROOT, pins

DECISION = ROOT / "docs" / "decisions" / "0001-dependencies.md"
INPUTS = ("requirements.in", "requirements-embedded.in", "requirements-build.in")
DROPPED = ("asyncio", "autobahn", "pyopenssl", "service-identity", "twisted", "websocket-client")

SDKS = """
import sys, types
ticker = types.ModuleType("kiteconnect.ticker")
ticker.KiteTicker = object
sys.modules["kiteconnect.ticker"] = ticker
import kiteconnect
from fyers_apiv3 import fyersModel
kiteconnect.KiteConnect(api_key="key")
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"twisted", "autobahn", "OpenSSL", "service_identity", "websocket"}))
"""


def direct_dependencies(*files: str) -> list[str]:
    lines = [
        line for file in files for line in (ROOT / file).read_text(encoding="utf-8").splitlines()
    ]
    found = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for line in lines)
    return [name[0] for name in found if name]


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("package", DROPPED)
def test_dropped_package_is_in_no_lock(package: str, lock: str) -> None:
    """What Saarthi never loads is not installed either."""
    assert package not in pins(lock)


def test_sdks_work_without_what_was_dropped(tmp_path: Path) -> None:
    """Both SDKs load and build a client without Twisted and the socket libraries."""
    result = subprocess.run(
        [sys.executable, "-P", "-c", SDKS],
        cwd=tmp_path,  # the Fyers SDK writes its logs into the working directory
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr


def version_of(package: str) -> tuple[int, ...]:
    (locked,) = pins("requirements.lock")[package]
    return tuple(int(part) for part in locked.split(".")[:3])


@pytest.mark.parametrize(
    ("package", "pinned"),
    [("aiohttp", (3, 9, 3)), ("requests", (2, 31, 0)), ("setuptools", (68, 0, 0))],
)
def test_old_pin_of_an_sdk_is_overridden(package: str, pinned: tuple[int, ...]) -> None:
    """The vulnerable version that an SDK asks for is not the one that is installed."""
    assert version_of(package) > pinned


def floors() -> dict[str, tuple[int, ...]]:
    """Return the oldest version of each package without a published weakness."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([a-z0-9-]+)>=([0-9.]+)\s+# CVE-", line) for line in lines)
    return {one[1]: numbers(one[2]) for one in found if one}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_has_a_version_with_a_known_weakness(lock: str) -> None:
    """Every version that is locked is at or above the floor of its package."""
    assert len(floors()) > 8
    low = {
        f"{name}=={version}"
        for name, versions in pins(lock).items()
        for version in versions
        if name in floors() and numbers(version) < floors()[name]
    }
    assert low == set()


def test_production_installs_no_embedded_store() -> None:
    """The beta server and what it drags in are in locks of their own; the versions agree."""
    production, embedded = pins("requirements.lock"), pins("requirements-embedded.lock")
    assert "secantusdb" in embedded and "secantusdb" in pins("requirements-dev.lock")
    assert {"secantusdb", "numpy", "shapely", "s2sphere", "future"} & set(production) == set()
    for lock in (production, embedded):
        for name, versions in lock.items():
            assert pins("requirements-dev.lock")[name] == versions


@pytest.mark.parametrize("name", direct_dependencies(*INPUTS))
def test_installed_version_is_the_locked_one(name: str) -> None:
    """The tests run on what the lock says."""
    locked = pins("requirements-dev.lock")[name.lower().replace("_", "-")]
    assert metadata.version(name) in locked


def test_every_direct_dependency_has_its_reason() -> None:
    """The decision page has a row for each direct dependency."""
    rows = re.findall(r"^\| `([^`]+)` \|", DECISION.read_text(encoding="utf-8"), re.MULTILINE)
    others = ("requirements-dev.in", "requirements-tools.in")
    direct = set(direct_dependencies(*INPUTS, *others))
    assert direct - set(rows) == set()
