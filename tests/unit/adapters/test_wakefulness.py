"""The machine is kept awake for as long as somebody asked for, and sleeps again afterwards."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from core.adapters.wakefulness import Wakefulness


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A file that stands for the kernel's."""
    path = tmp_path / "cpu_dma_latency"
    path.touch()
    return path


def holders(device: Path) -> int:
    """Return how often this process has a file open."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        try:
            found += one.readlink() == device
        except OSError:
            continue  # closed meanwhile
    return found


async def has_slept(awake: Wakefulness) -> None:
    """Wait until the machine may sleep."""
    async with asyncio.timeout(10):
        while awake.is_awake:
            await asyncio.sleep(0)


async def test_no_sleep_is_asked_for_and_ends(device: Path) -> None:
    """A latency of zero, while the file is open: closing it takes the wish back."""
    awake = Wakefulness(device)
    awake.stay_awake(0.01)
    assert (awake.is_awake, holders(device)) == (True, 1)
    assert device.read_bytes() == b"\0\0\0\0"
    await has_slept(awake)
    assert holders(device) == 0
    awake.stay_awake(60)
    assert holders(device) == 1
    awake.close()
    assert holders(device) == 0


async def test_the_longest_wish_counts(device: Path) -> None:
    """A slot that is announced, and then another one: the machine is asked once."""
    loop, awake = asyncio.get_running_loop(), Wakefulness(device)
    began = loop.time()
    awake.stay_awake(0.01)
    awake.stay_awake(0.05)
    awake.stay_awake(0.02)
    assert holders(device) == 1
    await has_slept(awake)
    assert loop.time() - began >= 0.05


@pytest.mark.parametrize("is_there", [True, False])
async def test_who_may_not_ask_goes_on(
    is_there: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once in the log, and nothing is left open."""
    awake = Wakefulness(tmp_path if is_there else tmp_path / "none")  # a folder takes no number
    with caplog.at_level(logging.INFO):
        awake.stay_awake(1)
        awake.stay_awake(1)
    assert not awake.is_awake
    assert [one.levelno for one in caplog.records] == [logging.INFO]
