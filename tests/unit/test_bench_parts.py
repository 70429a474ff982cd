"""One part of the bench that fails or hangs costs no other its figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.bench import runner
from tests.bench.figure import Figure, kept, read
from tests.bench.runner import Part

FIGURE = Figure(1.25, "ms", 0.5, "something else")
_FAST, _NEVER = 0.05, 3600.0


async def _nothing(_at: Path) -> Mapping[str, Figure]:
    return {}


def _program(_module: str, *arguments: str) -> list[str]:
    """Return the command of a part that does what its name says."""
    code = {
        "good": "import sys; open(sys.argv[1], 'w').write(sys.argv[2])",
        "bad": "raise SystemExit(3)",
        "hung": "import time; time.sleep(3600)",
    }[arguments[1]]
    return [sys.executable, "-c", code, arguments[3], kept({"one": FIGURE})]


def _parts(*names: str) -> list[Part]:
    return [Part(name, _nothing, _FAST if name == "hung" else _NEVER) for name in names]


def test_each_part_is_measured_whatever_became_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file and the table hold what was measured, and it is said which parts gave nothing."""
    monkeypatch.setattr(runner, "program", _program)
    output = tmp_path / "bench.json"
    failed = runner.measure_all(_parts("bad", "hung", "good"), output, 1.0)
    assert failed == {"bad": "it ended with 3", "hung": "it did not end within 0 s"}
    written: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    assert written == {"one": {"value": 1.25, "unit": "ms", "peer": 0.5, "ratio": 2.5}}
    said = capsys.readouterr().out
    assert "[3/3] good" in said
    assert said.count("something else") == 2, "after the part, and in the table of all"


def test_figures_come_back_as_they_were(tmp_path: Path) -> None:
    """Also one that could not be measured."""
    path = tmp_path / "figures.json"
    found = {"one": FIGURE, "none": Figure(float("nan"), "ms", 0.0, "a peer")}
    path.write_text(kept(found), encoding="utf-8")
    again = read(path)
    assert again["one"] == FIGURE
    assert again["none"].value != again["none"].value
