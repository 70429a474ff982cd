"""The bench's own processes start from a checkout whose installation holds no tests."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.bench.stores import program
from tests.fakes.sandbox_process import ROOT


@pytest.mark.parametrize("module", ["tests.bench.door", "tests.bench.fanout"])
def test_module_of_the_bench_runs_from_a_checkout(module: str) -> None:
    """``make bench`` sets no path: its children find the tests beside them."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = program(module, "--help")
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
