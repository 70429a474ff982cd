"""Keeping the machine's processors awake for a moment, around a slot.

A processor that has nothing to do sleeps, and is slow for a while after it is woken: deep states
take tens of microseconds to leave, caches and clock are cold, and under a hypervisor each wake-up
goes through the host. A slot comes after a rest and is some hundred short waits between two
processes, so it pays for each of them. Linux lets a process ask that nothing sleeps deeper than a
latency, for as long as it keeps ``/dev/cpu_dma_latency`` open (kernel documentation, "PM Quality of
Service Interface"): a signed 32-bit number of microseconds in the machine's byte order.

Only root may open it unless the machine's owner says otherwise (docs/operations.md). Where it
cannot be opened nothing is different but some milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
from pathlib import Path

__all__ = ["LATENCY_DEVICE", "Wakefulness"]

_log = logging.getLogger(__name__)
LATENCY_DEVICE = Path("/dev/cpu_dma_latency")
_NO_SLEEP = struct.pack("=i", 0)


class Wakefulness:
    """Asks the machine to stay awake; ``device`` is where it is asked."""

    def __init__(self, device: Path = LATENCY_DEVICE) -> None:
        self._device = device
        self._held: int | None = None
        self._until = 0.0
        self._is_refused = False

    @property
    def is_awake(self) -> bool:
        """Whether the machine is being kept awake."""
        return self._held is not None

    def stay_awake(self, seconds: float) -> None:
        """Let no processor sleep for so long from now on; a longer wish made before stands."""
        if self._is_refused:
            return
        loop = asyncio.get_running_loop()
        self._until = max(self._until, loop.time() + seconds)
        if self._held is None and self._hold():
            loop.call_at(self._until, self._rest)

    def close(self) -> None:
        """Let the machine sleep again."""
        if self._held is not None:
            held, self._held = self._held, None
            os.close(held)

    def _hold(self) -> bool:
        device = None
        try:
            device = os.open(self._device, os.O_WRONLY | os.O_CLOEXEC)
            os.write(device, _NO_SLEEP)
        except OSError as error:
            if device is not None:
                os.close(device)
            self._is_refused = True
            _log.info("slots find the machine asleep: %s: %s", self._device, error.strerror)
            return False
        self._held = device
        return True

    def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._until:
            loop.call_at(self._until, self._rest)
        else:
            self.close()
