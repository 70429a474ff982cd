"""The campaign's short form: some ends, some days and one world of processes, all figures 0."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.table import BAD
from tests.campaign.worker import play

ROOT = Path(__file__).parents[2]


@pytest.mark.matrix("C01", "C02", "C04", "C05", "C07", "C08", "C10", "C14")
@pytest.mark.matrix("N01", "N02", "N14", "B01", "B03", "B08", "D01")
@pytest.mark.invariant("I1", "I2", "I3", "I4", "I5", "I6", "I8", "I9", "I11", "I12")
@pytest.mark.row("R6", "R8")
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_short_campaign() -> None:
    """Nothing is duplicated, lost, wrong, unprotected without a word, or untold."""
    command = [sys.executable, "-m", "tests.campaign", "--short", "--jobs", "1"]
    assert callable(play)  # what the process plays each world with
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"| {figure}" in done.stdout for figure in BAD)


def test_interrupted_campaign_leaves_nothing_behind() -> None:
    """Ctrl-C prints what was played until then, and every process of it is gone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.campaign", "--short", "--jobs", "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while "a worker began" not in (line := process.stdout.readline()):
        assert line, "it ended by itself"
    worker = int(line.split()[-1])
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "interrupted" in told
    assert not Path(f"/proc/{worker}").exists()
