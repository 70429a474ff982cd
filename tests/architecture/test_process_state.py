"""A test leaves nothing of its process changed for the next one, whatever it starts."""

from __future__ import annotations

import gc
import logging
import os
import signal
from pathlib import Path

import pytest

from console.process import set_up_log
from core.config import Settings
from core.long_lived import collect_less
from tests.process_state import taken


def state() -> list[object]:
    """Return what a process has one of."""
    root, ours = logging.getLogger(), logging.getLogger("pymongo")
    mask = os.umask(0o077)
    os.umask(mask)
    return [
        *(gc.callbacks[:], gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()),
        *(root.handlers[:], root.level, ours.level, ours.propagate, ours.disabled),
        *(logging.Logger.manager.disable, dict(os.environ), Path.cwd(), mask),
        signal.getsignal(signal.SIGHUP),
    ]


def test_what_a_test_changes_of_its_process_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collector, log, variables, directory, mask and signals are as the test found them."""
    monkeypatch.setenv("SAARTHI_ONE", "1")
    logging.getLogger("pymongo").setLevel(logging.NOTSET)
    gc.unfreeze()
    before, restore = state(), taken()
    try:
        collect_less()
        gc.disable()
        gc.freeze()
        set_up_log(Settings())
        logging.disable(logging.CRITICAL)
        logging.getLogger("pymongo").propagate = False
        del os.environ["SAARTHI_ONE"]
        os.environ["SAARTHI_OTHER"] = "2"
        os.chdir(tmp_path)
        os.umask(0o007)
        signal.signal(signal.SIGHUP, lambda *_: None)  # ignored already under nohup
        changed = state()
    finally:
        restore()
    same = [a for a, b in zip(before, changed, strict=True) if a == b]
    assert same == [logging.getLogger("pymongo").disabled]
    assert state() == before


def test_every_test_runs_between_the_two(pytestconfig: pytest.Config) -> None:
    """The plugin is one of the whole run's."""
    assert pytestconfig.pluginmanager.has_plugin("tests.process_state")
