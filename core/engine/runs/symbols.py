"""Instruments by the brokers' lists: looked up when typed, each morning and by a run (R3, D10)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from core.domain.instrument import Instrument, InstrumentId
from core.domain.listing import gone
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.masters import Masters
from core.errors import BrokerReadError, UserError
from core.ports.clock import Clock

__all__ = ["Symbols"]

_log = logging.getLogger(__name__)


class Symbols:
    """Looks instruments up in the lists of the connected accounts' brokers."""

    def __init__(self, accounts: Accounts, masters: Masters, clock: Clock) -> None:
        self._accounts = accounts
        self._masters = masters
        self._clock = clock

    async def refuse(self, instruments: Iterable[InstrumentId]) -> None:
        """Raise ``UserError`` for the first that cannot be traded anywhere.

        Without any list nothing is refused: the morning's look, and each run, say it later.
        """
        for reason in (await self.gone(sorted(instruments))).values():
            raise UserError(reason if reason.endswith("?") else f"{reason}.")

    async def why_no_bars(self, instruments: Sequence[InstrumentId]) -> str:
        """Return a sentence that names instruments without bars, and why if the lists say it."""
        gone = await self.gone(instruments)
        return "; ".join(gone.get(one, f"there are no bars of {one}") for one in instruments)

    async def gone(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, str]:
        """Return why instruments cannot be traded, for those that cannot."""
        if not instruments:
            return {}
        lists = await self._lists()
        today = self._clock.market_now().date()
        # Likeness among a hundred thousand names takes part of a second: not on the loop.
        found = await asyncio.to_thread(
            lambda: {one: gone(one, lists, today) for one in instruments}
        )
        return {one: reason for one, reason in found.items() if reason}

    async def are_of_today(self) -> bool:
        """Whether every broker's list is of this morning: what it lacks is gone for certain."""
        brokers = {account.broker for account in await self._accounts.all()}
        return bool(brokers) and all(self._masters.is_of_today(broker) for broker in brokers)

    async def _lists(self) -> Mapping[str, Mapping[InstrumentId, Instrument]]:
        found = {}
        for broker in {account.broker for account in await self._accounts.all()}:
            try:
                # A copy: the list may be replaced while it is searched.
                found[broker.label] = dict(await self._masters.at_hand(broker))
            except BrokerReadError as error:
                _log.warning("%s", error)
        return found
