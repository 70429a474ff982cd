"""Fixtures of the tests that run an engine against the simulators; a plugin, so never import it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.sandbox_process import Sandbox
from tests.faults.controller import Nursery
from tests.faults.life import World

__all__ = ["nursery", "simulators", "stored_world", "world"]


@pytest.fixture(scope="session")
def _sandbox_process() -> Iterator[Sandbox]:
    """One sandbox process for all these tests: to start one costs more than most of them."""
    sandbox = Sandbox()
    yield sandbox
    sandbox.end()


@pytest.fixture
def simulators(_sandbox_process: Sandbox) -> Sandbox:
    """The simulators as at their start, their clock too where a test has stepped it."""
    _sandbox_process.ask("POST", "/reset")
    return _sandbox_process


@pytest.fixture
def world(simulators: Sandbox, tmp_path: Path) -> World:
    """Simulators as at their start, and an empty store in memory."""
    return World(simulators, None, "memory", tmp_path / "data")


@pytest.fixture
def stored_world(
    simulators: Sandbox, embedded_store_uri: str, embedded_database: str, tmp_path: Path
) -> World:
    """Simulators as at their start, and an empty store on a server: for several processes."""
    return World(simulators, embedded_store_uri, embedded_database, tmp_path / "data")


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """The process that forks controllers which will be killed."""
    nursery = Nursery()
    yield nursery
    nursery.end()
