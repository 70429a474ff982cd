"""A panic over a store in memory and brokers in memory, in virtual time (row R2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.domain.notices.panic import PanicCard, PanicOver
from core.domain.panic import PanicEnd
from tests.campaign.virtual import VirtualLoop, run_virtually
from tests.fakes.panicking import Trading

pytestmark = pytest.mark.row("R2")


def play(story: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    """Live a story in virtual time."""

    async def live(loop: VirtualLoop) -> None:
        await story(loop)

    run_virtually(live, 7)


def test_everything_is_flat_and_the_panic_is_over() -> None:
    """Positions are closed, their stops gone, the accounts EXIT_ONLY, and it ends by itself."""

    async def story(loop: VirtualLoop) -> None:
        trading = await Trading(loop).opened(3)
        assert [trading.net(one) for one in trading.accounts] == [10, 10, 10]
        await trading.panic()
        await asyncio.sleep(15)
        for one in trading.accounts:
            assert trading.is_flat(one)
            assert trading.mode(one) == "EXIT_ONLY"
        panic = await trading.newest()
        assert panic.end is PanicEnd.FLAT
        assert panic.counts.flat == 3
        assert trading.told(PanicCard) >= 2
        assert trading.told(PanicOver) == 1

    play(story)
