"""Fixtures of the tests of the Kite simulator; a plugin, so never import it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.kite_client import log_in
from tests.fakes.sandbox_process import Sandbox

__all__ = ["kite", "kite_sandbox_process", "sandbox"]


@pytest.fixture(scope="session")
def kite_sandbox_process() -> Iterator[Sandbox]:
    """One sandbox process for all tests; its market clock all but stands, however long they take."""
    process = Sandbox(clock="2026-11-23T10:00:30*0.001")
    yield process
    assert process.stop() == 0


@pytest.fixture
def sandbox(kite_sandbox_process: Sandbox) -> Sandbox:
    """A sandbox as it is at the start."""
    kite_sandbox_process.ask("POST", "/reset")
    return kite_sandbox_process


@pytest.fixture
def kite(sandbox: Sandbox) -> Any:
    """An SDK client that is logged in."""
    return log_in(sandbox)
