"""From the start of the process to a healthy answer, beside the imports that it cannot do without."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from http import HTTPStatus
from pathlib import Path
from statistics import median

import requests

from tests.bench.figure import Figure
from tests.fakes.clock import clock_text
from tests.fakes.installation import Installation
from tests.fakes.sandbox_process import Sandbox

__all__ = ["startup"]

SAMPLES = 3
_IMPORTS = "import telegram, aiohttp, pymongo"
_PATIENCE_S = 150.0
_LOOK_S = 0.01


def startup(directory: Path) -> dict[str, Figure]:
    """Start a new installation and the imports alone, in turn."""
    clock = clock_text("2026-11-23T10:00:00+05:30")
    sandbox = Sandbox(clock=clock)
    try:
        starts, imports = [], []
        for number in range(SAMPLES):
            here = Installation(sandbox, directory / str(number), clock)
            starts.append(_until_healthy(here))
            imports.append(_of_the_imports())
    finally:
        sandbox.end()
    return {"start_up": Figure(median(starts), "s", median(imports), f"python: {_IMPORTS}")}


def _until_healthy(here: Installation) -> float:
    address = f"127.0.0.1:{_free_port()}"
    here.extra["SAARTHI_LISTEN"] = address
    started = time.perf_counter()
    process = here.start("run")
    try:
        while not _is_healthy(f"http://{address}/healthz"):
            if process.poll() is not None or time.perf_counter() - started > _PATIENCE_S:
                process.kill()
                raise AssertionError(f"the controller did not start: {process.communicate()[1]}")
            time.sleep(_LOOK_S)
        return time.perf_counter() - started
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=_PATIENCE_S)


def _is_healthy(address: str) -> bool:
    with requests.Session() as http:
        http.trust_env = False
        try:
            return http.get(address, timeout=5).status_code == HTTPStatus.OK
        except requests.ConnectionError:
            return False


def _of_the_imports() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", _IMPORTS], check=True)
    return time.perf_counter() - started


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
