"""A signal ends the services once what is on its way to the brokers was heard out."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import cast

import pytest

from console.process import services_until_stopped
from core.bootstrap.system import System
from core.engine.orders.ending import Ending
from core.engine.workers.supervisor import Service


class Parts:
    """What of a system a stop touches; it is its own supervisor."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.ending = Ending(())

    @property
    def supervisor(self) -> Parts:
        return self

    async def run(self, _services: Mapping[str, Service]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            self.story.append("services ended")

    async def finish(self) -> None:
        await System.finish(cast("System", self))
        self.story.append("nothing else is sent" if self.ending.has_begun else "sending goes on")


@pytest.mark.matrix("C12")
async def test_signal_ends_the_services_after_all_was_heard_out() -> None:
    """Ended first, they would cut off the orders that are on their way."""
    parts = Parts()
    await services_until_stopped(cast("System", parts), {})
    assert parts.story == ["nothing else is sent", "services ended"]
