"""Who may import whom: the contracts hold, and each one would catch what it forbids."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "console", "core", "sandbox", "strategy", "webhooks")
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

# For each contract, a module that breaks it: (where, what it imports).
VIOLATIONS = {
    "core is layered: adapters implement ports, engine drives ports, domain imports nothing": (
        "core/domain/planted.py",
        "core.ports.clock",
    ),
    "the engine is layered: orders below accounts below runs and workers below control": (
        "core/engine/orders/planted.py",
        "core.engine.accounts.accounts",
    ),
    "the bot is layered: views and Telegram's edge below the conversation below its handlers": (
        "bot/views/planted.py",
        "bot.conversation.visit",
    ),
    "no circles": ("core/engine/runs/plan.py", "core.engine.runs.runner"),
    "nobody imports the console": ("webhooks/planted.py", "console.cli"),
    "brokers do not know one another": (
        "core/adapters/zerodha/planted.py",
        "core.adapters.fyers",
    ),
    "paper accounts reach no broker: nothing that opens a connection is at hand there": (
        "core/adapters/paper/planted.py",
        "core.adapters.transports",
    ),
    "domain, ports and engine are free of I/O libraries": ("core/engine/planted.py", "aiohttp"),
    "a strategy sees only the domain": ("strategy/planted.py", "core.engine"),
    "core knows none of its drivers": ("core/adapters/planted.py", "bot"),
    "the drivers reach adapters only through bootstrap": (
        "webhooks/planted.py",
        "core.adapters.mongo",
    ),
    "no shipped package imports the sandbox": ("bot/planted.py", "sandbox"),
    "the simulators share no code with what they test": ("sandbox/planted.py", "core.domain"),
}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", str(LINT_IMPORTS), "--no-cache"],
        cwd=root,
        env={**os.environ, "COLUMNS": "200"},  # else the report breaks long names
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


def verdicts(output: str) -> dict[str, bool]:
    """Return for each contract of import-linter's report whether it was kept."""
    found = {}
    for line in output.splitlines():
        for word in ("KEPT", "BROKEN"):
            if line.rstrip().endswith(f" {word}"):
                found[line.rstrip().removesuffix(f" {word}")] = word == "KEPT"
    return found


def contract_names() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped packages to plant into."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignore = shutil.ignore_patterns("__pycache__", "*.csv")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    return tmp_path


def test_contracts_hold() -> None:
    """Nothing in the repository imports what it must not."""
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert verdicts(result.stdout) == dict.fromkeys(contract_names(), True)


def test_each_contract_has_a_violation() -> None:
    """A contract that is added must show that it can be broken."""
    assert sorted(VIOLATIONS) == sorted(contract_names())


def test_planted_violations_are_caught(copy: Path) -> None:
    """Each contract is broken by one module that does what it forbids."""
    for place, imported in VIOLATIONS.values():
        with (copy / place).open("a", encoding="utf-8") as file:
            file.write(f"import {imported}\n")
    result = lint_imports(copy)
    assert result.returncode != 0
    assert verdicts(result.stdout) == dict.fromkeys(contract_names(), False), result.stdout
