"""The daily loss: it turns accounts to EXIT_ONLY, and only a user turns them back (row R1).

``judge`` is called with each look at prices. A result at or beyond the limit sets the account to
EXIT_ONLY in one transaction with its record in ``limits`` and the notice; the limit of all accounts
together does so to each of them. It is level-triggered: as long as the result is beyond, an account
in NORMAL does not stay there. NORMAL is refused for five minutes after that, and for as long as the
result is beyond the limit (``allow_normal``).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.account_day import AccountDay
from core.domain.identifiers import is_paper
from core.domain.mode import TradingMode
from core.domain.money import rupees
from core.domain.notices.limits import DailyLossBlind, DailyLossReached
from core.domain.notices.post import Post, loss_blind_card
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import live_ids
from core.engine.accounts.modes import write_mode
from core.engine.orders.gate import gate_at
from core.engine.orders.limits import (
    ALL,
    StoredLimits,
    Tripped,
    all_limits,
    limits_at,
    put_blind,
    set_tripped,
)
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, StoreError, UserError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["REARM_AFTER", "LossLimit"]

_log = logging.getLogger(__name__)
REARM_AFTER = timedelta(minutes=5)
_BY = "daily loss"
_BLIND_FOR_S = 20.0
"""How long a result may be unknown before it is told: a fill on its way passes sooner."""
_BLIND_FOR_AT_MOST_S = 300.0


class LossLimit:
    """Judges results (a ``ResultJudge``), and says when NORMAL may be set again.

    ``wake`` lets an account's worker take a turn. In memory it keeps only the newest results, and
    when it saw a limit reached by a clock that never steps.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._wake = wake
        self._day = ""
        self._results: dict[str, Decimal] = {}
        self._reached: dict[str, float] = {}
        self._unknown_since: dict[str, float] = {}
        self._blinded: Counter[str] = Counter()

    def result(self, broker_id: str | None) -> Decimal | None:
        """Return an account's result at today's last look, with None that of all together.

        Paper accounts are not among these: what they lose is nobody's (row F6).

        For the sum an account counts as nothing only after it was unknown for some time: of the
        first looks after a start, one account's loss is not the loss of all.
        """
        if self._day != self._today():
            return None
        if broker_id is not None:
            return self._results.get(broker_id)
        is_partial = any(
            self._clock.monotonic() - since < _BLIND_FOR_S
            for one, since in self._unknown_since.items()
            if one not in self._results and not is_paper(one)
        )
        known = [result for one, result in self._results.items() if not is_paper(one)]
        return None if is_partial or not known else sum(known, Decimal(0))

    async def accounts(self) -> frozenset[str]:
        """Return the accounts whose result a limit of daily loss bounds."""
        present = await all_limits(self._store)
        live = frozenset(await live_ids(self._store))
        bounded = {one.scope for one in present.values() if one.limits.daily_loss is not None}
        together = _in_all(live) if ALL in bounded else []
        return frozenset(together) | (live & bounded)

    async def judge(self, days: Mapping[str, AccountDay]) -> None:
        """Judge the days; one without a result counts as it was at the last look that had one.

        Raises:
            StoreUnavailable: Nothing could be judged; the next look does it.
        """
        self._take(days)
        present = await all_limits(self._store)
        asked = [(present[one], [one]) for one in days if one in present]
        if ALL in present:
            asked.append((present[ALL], _in_all(await live_ids(self._store))))
        failed: StoreError | None = None
        for standing, accounts in asked:
            try:
                await self._judge(standing, accounts)
            except StoreError as error:
                # One that met a conflict is judged at the next look; the others are judged now.
                _log.warning("the daily loss of %s: %s", standing.scope, error)
                failed = error
        failed = await self._tell_sight(present, days) or failed
        if failed is not None:
            raise failed

    def _take(self, days: Mapping[str, AccountDay]) -> None:
        """Keep the newest result of each account, and since when one is unknown."""
        if self._day != self._today():
            self._day, self._results, self._unknown_since = self._today(), {}, {}
        # What was disconnected counts no more: connected again, the same positions would twice.
        self._results = {one: result for one, result in self._results.items() if one in days}
        since, now = self._unknown_since, self._clock.monotonic()
        self._unknown_since = {
            one: since.get(one, now) for one, day in days.items() if day.result is None
        }
        for broker_id, day in days.items():
            if day.result is not None:
                self._results[broker_id] = day.result.judged

    async def _judge(self, standing: StoredLimits, accounts: Sequence[str]) -> None:
        if not self._is_beyond(standing):
            return
        is_new = self._is_new(standing)
        if not is_new and not await self._in_normal(self._store, accounts):
            return
        try:
            stopped = await self._store.transaction(
                lambda view: self._trip(view, standing.scope, accounts),
                # Each record raises the version, so the next time has another name.
                nonce=f"loss:{standing.scope}|{standing.version}",
            )
        except AlreadyDone:
            return
        self._reached[standing.scope] = self._clock.monotonic()
        _log.warning("the limit of daily loss of %s was reached", standing.scope)
        for broker_id in stopped:
            self._reached[broker_id] = self._clock.monotonic()
            self._wake(broker_id)

    async def _trip(self, view: StoreView, scope: str, accounts: Sequence[str]) -> Sequence[str]:
        """Set accounts to EXIT_ONLY, with the record and the notice; return who was in NORMAL."""
        # Read anew: a user may have raised the limit meanwhile.
        standing, now = await limits_at(view, scope), self._clock.now()
        limit, result = standing.limits.daily_loss, self.result(_account(scope))
        stopped = await self._in_normal(view, accounts)
        is_new = self._is_new(standing)
        if limit is None or result is None or result > -limit or not (is_new or stopped):
            raise AlreadyDone("nothing is beyond the limit any more")
        tripped = Tripped(now, self._day, result, limit, scope)
        for broker_id in stopped:
            # A stricter mode than EXIT_ONLY stays as it is.
            await write_mode(view, TradingMode.EXIT_ONLY, broker_id, at=now, by=_BY)
        for whose in {scope, *(accounts if is_new else stopped)}:
            await set_tripped(view, whose, tripped, at=now, by=_BY)
        notice = DailyLossReached(
            "" if scope == ALL else scope,
            result,
            limit,
            self._clock.market_at(now + REARM_AFTER),
            tuple(stopped),
        )
        await self._outbox.post(view, Post(notice))
        return stopped

    async def _tell_sight(
        self, present: Mapping[str, StoredLimits], days: Mapping[str, AccountDay]
    ) -> StoreError | None:
        """Say once that a daily loss cannot be judged, and once that it can be again."""
        failed: StoreError | None = None
        now = self._clock.monotonic()
        is_any = ALL in present and present[ALL].limits.daily_loss is not None
        for broker_id, day in days.items():
            own = present.get(broker_id, StoredLimits(broker_id))
            why = day.why if day.result is None else ""
            told = own.blind
            is_bounded = is_any and not is_paper(broker_id)
            if not told and not is_bounded and own.limits.daily_loss is None:
                continue
            # Longer each time: of a broker that answers now and then not each pause is told.
            wait_s = min(_BLIND_FOR_S * 2 ** self._blinded[broker_id], _BLIND_FOR_AT_MOST_S)
            is_moment = bool(why) and now - self._unknown_since[broker_id] < wait_s
            if is_moment or bool(why) is bool(told):
                continue
            self._blinded[broker_id] += bool(why)
            notice = DailyLossBlind(broker_id, why, self._results.get(broker_id))
            try:
                await self._tell(notice)
            except StoreError as error:
                failed = error
        return failed

    async def _tell(self, notice: DailyLossBlind) -> None:
        async def body(view: StoreView) -> None:
            await put_blind(view, notice.broker_id, notice.why)
            await self._outbox.post(view, loss_blind_card(notice))

        nonce = f"loss-blind:{notice.broker_id}|{self._clock.now().isoformat()}"
        with suppress(AlreadyDone):
            await self._store.transaction(body, nonce=nonce)

    async def _in_normal(self, view: StoreView, accounts: Sequence[str]) -> list[str]:
        gates = [await gate_at(view, broker_id) for broker_id in accounts]
        return [one.broker_id for one in gates if one and one.account_mode is TradingMode.NORMAL]

    def _is_new(self, standing: StoredLimits) -> bool:
        """Whether it is not recorded yet that this very limit was reached today."""
        tripped = standing.tripped
        return tripped is None or (tripped.day, tripped.scope) != (self._day, standing.scope)

    def _is_beyond(self, standing: StoredLimits) -> bool:
        """Whether the present result is at or beyond the present limit."""
        limit, result = standing.limits.daily_loss, self.result(_account(standing.scope))
        return limit is not None and result is not None and result <= -limit

    # NORMAL again

    async def allow_normal(self, view: StoreView, broker_id: str, *, by: str) -> None:
        """Let a user set an account to NORMAL, in the transaction that does; end the record.

        Raises:
            UserError: It is too early, or the result is still beyond a limit.
        """
        scopes = (broker_id,) if is_paper(broker_id) else (broker_id, ALL)
        found = [await limits_at(view, scope) for scope in scopes]
        for standing in found:
            self._refuse(standing)
        for standing in found:
            if standing.tripped is not None:
                await set_tripped(view, standing.scope, None, at=self._clock.now(), by=by)

    def _refuse(self, standing: StoredLimits) -> None:
        tripped, limit = standing.tripped, standing.limits.daily_loss
        whose = "all accounts together" if standing.scope == ALL else "this account"
        result = self.result(_account(standing.scope))
        if (
            result is None
            and tripped
            and (tripped.day, tripped.scope)
            == (
                self._today(),
                standing.scope,
            )
        ):
            # Nothing was looked at since a restart: what was found then stands.
            result = tripped.result
        if limit is not None and result is not None and result <= -limit:
            raise UserError(
                f"Not set: today's loss of {whose} is {rupees(-result)} after charges, the limit "
                f"is {rupees(limit, paise=False)}. Raise the limit in /limits first, or wait for "
                "the next trading day."
            )
        may_at = self._may_at(standing)
        if may_at is not None:
            raise UserError(
                f"Not set: the limit of daily loss was reached less than five minutes ago. You can "
                f"set Normal from {self._clock.market_at(may_at):%H:%M} on."
            )

    def _may_at(self, standing: StoredLimits) -> datetime | None:
        """Return when NORMAL may be set; None when it may be now.

        The later of two clocks: the stored time outlives a restart, the other one a step of the
        computer's clock.
        """
        if standing.tripped is None:
            return None
        now = self._clock.now()
        left = standing.tripped.at + REARM_AFTER - now
        seen = self._reached.get(standing.scope)
        if seen is not None:
            since = timedelta(seconds=self._clock.monotonic() - seen)
            left = max(left, REARM_AFTER - since)
        # Rounded up to the minute that is shown.
        return now + left + timedelta(seconds=59) if left > timedelta(0) else None

    def _today(self) -> str:
        return trading_day(self._clock.market_now())


def _in_all(broker_ids: Iterable[str]) -> list[str]:
    """Return the accounts that the limit of all together is of."""
    return sorted(one for one in broker_ids if not is_paper(one))


def _account(scope: str) -> str | None:
    return None if scope == ALL else scope
