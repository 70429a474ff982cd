"""Runs of a strategy that a user asks for from the chat (product.md D6)."""

from __future__ import annotations

from core.domain.command import Command
from core.domain.instrument import Segment
from core.engine.runs.plan import RunRequest, requested_slot
from core.engine.runs.requests import RunRequests
from core.engine.runs.runner import Runner
from core.engine.runs.settings import StrategySettings
from core.errors import UserError
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["ManualRuns"]


class ManualRuns:
    """Files a run that a user asks for beside the scheduled ones."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        strategies: StrategySettings,
        runner: Runner,
        requests: RunRequests,
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._strategies = strategies
        self._runner = runner
        self._requests = requests

    async def entries_over(self, name: str) -> str:
        """Return why a run at this moment could enter nothing by the clock, a clause; or ''."""
        schedule = self._strategies.strategy(name).schedule(await self._strategies.parameters(name))
        return await self._runner.by_clock(name, schedule, self._clock.market_now())

    async def file(self, command: Command, name: str) -> str:
        """File an extra run of a strategy, which begins at once; return its run id.

        Raises:
            NotFound: There is no such strategy.
            UserError: The market is closed, or its hours are not known.
        """
        self._strategies.strategy(name)
        now = requested_slot(self._clock.market_now())
        window = self._runner.session(now)
        if window is None or not window.contains(now):
            # "Closed" would be a guess where a session is known without its hours (Muhurat).
            try:
                self._calendar.session(now.date(), Segment.CASH, has_derivatives=True)
            except LookupError as error:
                raise UserError(
                    "The market counts as closed now, because its hours of today are not known. "
                    f"{str(error).removesuffix('.')}. Import them with saarthi calendar import."
                ) from error
            raise UserError("The market is closed now; a run needs a trading session.")
        request = RunRequest(f"{name}|now|{command.id}", name, now)

        async def body(view: StoreView) -> None:
            await self._requests.file(view, request)

        await self._store.transaction(body, nonce=f"run-now:{command.id}")
        self._requests.wake()
        return request.run_id
