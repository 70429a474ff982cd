"""Parts of the bench one after another, each in a process of its own and under a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure, read, table, write
from tests.bench.stores import program
from tests.fakes.sandbox_process import ROOT
from tests.faults.tether import tethered

__all__ = ["Figures", "Measure", "Part", "measure_all"]

Figures = Mapping[str, Figure]
Measure = Callable[[Path], Coroutine[Any, Any, Figures]]
_LATE = "it did not end within {:.0f} s"


@dataclass(frozen=True)
class Part:
    """What is measured together.

    Attributes:
        name: The name by which it is asked for.
        measure: Measures in a directory; it may print more than its figures.
        deadline_s: It takes a quarter of this, or less, on a quiet machine of two cores.
    """

    name: str
    measure: Measure
    deadline_s: float


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _run(part: Part, directory: Path, patience: float = 1.0) -> dict[str, Figure] | str:
    """Measure a part in a process of its own; return its figures, or why there are none.

    Args:
        part: Which.
        directory: Where its data go.
        patience: How many times its deadline it gets.
    """
    figures, deadline = directory / "figures.json", part.deadline_s * patience
    directory.mkdir()
    command = program("tests.bench", "--part", part.name, "--output", str(figures))
    child = subprocess.Popen(tethered(command), cwd=ROOT, start_new_session=True)
    try:
        code = child.wait(deadline)
    except subprocess.TimeoutExpired:
        return _LATE.format(deadline)
    finally:
        # With all that it started: servers die with their parents, the rest is of its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    return read(figures) if code == 0 else f"it ended with {code}"


def measure_all(chosen: Sequence[Part], output: Path, patience: float) -> dict[str, str]:
    """Measure parts one after another; return why those failed that did, by name."""
    figures: dict[str, Figure] = {}
    failed: dict[str, str] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made:
        for number, part in enumerate(chosen, 1):
            since = time.monotonic()
            _say(f"\n[{number}/{len(chosen)}] {part.name}, at most {part.deadline_s:.0f} s\n")
            found = _run(part, Path(made) / part.name, patience)
            took = time.monotonic() - since
            if isinstance(found, str):
                failed[part.name] = found
                _say(f"{part.name}: no figures, {found} ({took:.0f} s)\n")
                continue
            _say(f"{part.name} ({took:.0f} s)\n{table(found)}")
            figures |= found
            write(figures, output)
    _say(f"\nEverything ({time.monotonic() - began:.0f} s)\n\n{table(figures)}")
    return failed
