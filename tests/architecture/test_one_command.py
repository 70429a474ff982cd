"""One command tests everything: for a user, for the automation, and from a fresh clone."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.row("F3")

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def rule(target: str) -> tuple[list[str], str]:
    """Return what a target of the Makefile needs, and its recipe."""
    found = re.search(rf"^{re.escape(target)}: *(.*)\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    assert found, f"the Makefile has no target {target}"
    return found[1].partition("|")[0].split(), found[2]


def needed(target: str) -> set[str]:
    """Return everything that a target leads to, itself included."""
    found, waiting = set(), [target]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            known = re.search(rf"^{re.escape(name)}:", MAKEFILE, re.MULTILINE)
            waiting += rule(name)[0] if known else []
    return found


def test_automation_runs_what_a_user_runs() -> None:
    """The automation's script hands over to ``make test``: nothing more, nothing less."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line.strip() for line in script.read_text(encoding="utf-8").splitlines()]
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == [
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."',
        "exec make test",
    ]


def test_readme_names_the_commands() -> None:
    """Whoever reads the first page knows how to try and how to test it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = {line.partition("#")[0].strip() for block in blocks for line in block.splitlines()}
    commands |= set(re.findall(r"`(make [a-z-]+)`", text))
    assert {"make demo", "make test"} <= commands


def test_tests_follow_the_checks_and_leave_none_out() -> None:
    """``make test`` is the checks and then every test; neither hides a failure."""
    assert "check" in needed("test")
    recipes = rule("check")[1], rule("test")[1]
    for tool in ("ruff format --check", "ruff check", "mypy", "lint-imports"):
        assert f"$(BIN)/{tool}" in recipes[0]
    (command,) = recipes[1].splitlines()
    assert "$(BIN)/python -P -m pytest " in command
    assert not re.search(r" (-m (?!pytest)|-k|--ignore|--deselect|tests/)", command)
    assert not any(
        re.match(r"\t@?-|.*\|\| *(true|:)", line)
        for recipe in recipes
        for line in recipe.splitlines()
    )


def test_settings_of_pytest_leave_none_out() -> None:
    """All tests are found, but those of the night; what is found is not chosen from elsewhere."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings = project["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests"]
    options = settings["addopts"]
    assert options[options.index("-m") + 1] == "not nightly"
    chosen = [one for one in options if re.match(r"-[mk]|--(ignore|deselect|lf|ff|co)", one)]
    assert chosen == ["-m"]
    hidden = {"norecursedirs", "python_files", "python_functions", "python_classes"}
    assert not hidden & settings.keys()
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("conftest.py")]
    assert not [one for one in sources if "collect_ignore" in one or "ignore_collect" in one]


@pytest.mark.parametrize("target", ["test", "check", "demo", "bench"])
def test_fresh_clone_installs_from_the_lock(target: str) -> None:
    """What a command needs is installed by it, from a lock with hashes and nothing else."""
    lock = "requirements-embedded.lock" if target == "demo" else "requirements-dev.lock"
    assert {"requirements.lock", lock} <= needed(target)
    for installed, source in (
        ("$(VENV)/installed", "requirements.lock"),
        ("$(VENV)/installed-embedded", "requirements-embedded.lock"),
        ("$(VENV)/installed-dev", "requirements-dev.lock"),
    ):
        recipe = rule(installed)[1]
        assert f"\t$(INSTALL) -r {source}\n" in recipe
        assert "pip install" not in recipe
    assert re.search(r"^INSTALL := .*--no-deps --require-hashes$", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("target", ["lock", "audit"])
def test_tools_of_the_locks_are_locked(target: str) -> None:
    """What writes the locks, and what audits them, has a version and hashes of its own."""
    assert "requirements-tools.lock" in needed(target)
    recipe = rule("$(TOOLS)/installed")[1]
    assert "--no-deps --require-hashes -r requirements-tools.lock" in recipe
    assert "pip install" not in rule(target)[1]
