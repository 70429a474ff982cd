"""What a reader, a packager and a forge look for is there, and says what is true."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from email.message import Message

import pytest

from tests.architecture.test_repository import ROOT, SHIPPED, tracked

AUTHORS = "The Saarthi authors"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_licence_is_the_one_that_the_metadata_names() -> None:
    """The text, the name and whose it is agree."""
    text = read("LICENSE")
    assert text.startswith(f"{PROJECT['license']} License\n")
    assert re.search(rf"^Copyright \(c\) \d{{4}} {AUTHORS}$", text, re.MULTILINE)
    assert PROJECT["authors"] == [{"name": AUTHORS}]
    assert PROJECT["license-files"] == ["LICENSE"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that an installation unpacks, built from a copy of what git has."""
    source = tmp_path_factory.mktemp("source")
    for path in tracked():
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    result = subprocess.run(
        [sys.executable, "-c", "from setuptools import build_meta; build_meta.build_wheel('.')"],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    (name,) = source.glob("saarthi-*.whl")
    return zipfile.ZipFile(name)


def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_string(wheel.read(name).decode())


def test_wheel_is_complete(wheel: zipfile.ZipFile) -> None:
    """Every shipped package is in it and says that it is typed; tests and pages are not."""
    names = wheel.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(SHIPPED)
    assert {f"{package}/py.typed" for package in SHIPPED} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_metadata_is_complete(wheel: zipfile.ZipFile) -> None:
    """Whoever looks at the package sees what it is, whose it is, and what it needs."""
    found = metadata(wheel)
    for field in ("Summary", "Author", "License-Expression", "Keywords", "Classifier"):
        assert found[field], field
    assert found["Description-Content-Type"] == "text/markdown"
    assert str(found.get_payload()).startswith("# Saarthi")
    assert found["Requires-Python"] == ">=3.11"


def test_hooks_run_the_checks_and_fetch_nothing() -> None:
    """A commit is checked by the tools of the lock, all of those that ``make check`` runs."""
    text = read(".pre-commit-config.yaml")
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    assert set(re.findall(r"language: (\S+)", text)) == {"system"}
    recipe = re.search(r"^check: .*\n((?:\t.*\n)+)", read("Makefile"), re.MULTILINE)
    assert recipe
    tools = {line.strip().removesuffix(" .") for line in recipe[1].splitlines()}
    wanted = {tool.replace("$(BIN)", ".venv/bin").replace(" --check", "") for tool in tools}
    entries = re.findall(r"entry: (.+?)(?: --force-exclude)?$", text, re.MULTILINE)
    assert set(entries) == wanted


def test_forge_runs_what_everybody_runs() -> None:
    """A workflow ends with ``make test``, and tests nothing in a way of its own."""
    assert WORKFLOWS
    for path in WORKFLOWS:
        commands = re.findall(r"run: (?!\|)(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert commands[-1] == "make test"
        assert not any(tool in path.read_text(encoding="utf-8") for tool in ("pytest", "pip "))


@pytest.mark.parametrize("heading", ["Unreleased", PROJECT["version"]])
def test_changelog_has_a_section(heading: str) -> None:
    """What is not released yet, and the version that the metadata names, are told of."""
    assert re.search(rf"^## \[{re.escape(heading)}\]", read("CHANGELOG.md"), re.MULTILINE)
