"""One call of ``Store.transaction``: its attempts, its nonce, the commit, and what came of it.

What a commit did is learned from the ``commits`` collection and from nothing else. After a crash
the embedded server does not know that it had committed and asks for a re-run (facts/store.md 3), so
each call writes ``{_id: nonce, by: <this call>, run: <attempt>}`` in its transaction: found again
with this call's mark, the transaction is committed; found with another's, it was done before.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pymongo import ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from core.adapters.mongo._errors import is_transient, is_unknown_commit, mapped
from core.adapters.mongo._pipeline import commit_once
from core.adapters.mongo._view import Claim, ClaimTaken, TransactionView, backoff_s
from core.errors import (
    AlreadyDone,
    GivenUp,
    StoreError,
    StoreUnavailable,
    TransactionConflict,
)
from core.ports.store import BulkView, Document

__all__ = ["COMMITS", "Budget", "TransactionCall"]

T = TypeVar("T")
R = TypeVar("R")

COMMITS = "commits"
"""Collection of the nonces; a TTL index clears it after eight days."""

_DURABLE = WriteConcern(w="majority", j=True)
_UNKNOWN = "It is not known whether the store committed."


@dataclass(frozen=True, slots=True)
class Budget:
    """How long and how often one call may try.

    Attributes:
        attempts: Runs of the body.
        deadline_s: Seconds for all runs of the body; a commit on its way is followed up after it.
        commit_s: Seconds for learning what one commit did.
        abort_s: Seconds for rolling back.
    """

    attempts: int = 40
    deadline_s: float = 8.0
    commit_s: float = 8.0
    abort_s: float = 3.0


@dataclass(slots=True)
class TransactionCall(Generic[T]):
    """Runs ``body`` in one transaction on ``session`` and commits it at most once.

    Attributes:
        tails: Keeps what must go on although the caller was cancelled: a commit, a roll-back.
        give_back: Called once, when this call has done with the session; after a cancellation
            that can be later than the end of ``run``.
    """

    database: AsyncDatabase[Document]
    session: AsyncClientSession
    body: Callable[[BulkView], Awaitable[T]]
    nonce: str
    budget: Budget
    tails: set[asyncio.Task[Any]]
    give_back: Callable[[], None]
    _mark: str = field(default_factory=lambda: secrets.token_hex(8))
    _values: dict[int, T] = field(default_factory=dict)
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> T:
        """Return the value of the run of the body that was committed."""
        try:
            landed = await self._attempts()
        except BaseException:
            await self._to_the_end(self._roll_back())
            raise
        self.give_back()
        return self._values[landed]

    async def _attempts(self) -> int:
        until = asyncio.get_running_loop().time() + self.budget.deadline_s
        failure: StoreError = TransactionConflict("No attempt was made.")
        for attempt in range(self.budget.attempts):
            if attempt:
                landed = await self._before_rerun(attempt, until, failure)
                if landed is not None:
                    return landed
            outcome = await self._attempt(attempt, until)
            if isinstance(outcome, int):
                return outcome
            failure = outcome
        raise failure

    async def _before_rerun(self, attempt: int, until: float, failure: StoreError) -> int | None:
        if asyncio.get_running_loop().time() >= until:
            raise failure
        await asyncio.sleep(backoff_s(attempt))
        # An earlier run may have been committed although its commit failed: it is looked for before
        # the body runs again, never assumed to be lost.
        return await self._landed_by(until)

    async def _attempt(self, attempt: int, until: float) -> int | StoreError:
        """Return the number of the run that was committed, or why another run is worth it."""
        try:
            async with asyncio.timeout_at(until) as limit:
                outcome = await self._open_and_run(attempt)
        except TimeoutError as error:
            if limit.expired():
                raise StoreUnavailable("The transaction did not end in time.") from error
            raise  # the body's own
        if outcome is not None:
            return outcome
        return await self._to_the_end(self._commit(attempt))

    async def _open_and_run(self, attempt: int) -> int | StoreError | None:
        """Run the body in a new transaction; return None when it is ready to be committed."""
        await self.session.start_transaction(
            read_concern=ReadConcern("snapshot"),
            write_concern=_DURABLE,
            read_preference=ReadPreference.PRIMARY,
        )
        claim = Claim(COMMITS, self.nonce, {"by": self._mark, "run": attempt})
        view = TransactionView(self.database, self.session, claim)
        # Kept by run: the value returned must be that of the run that was committed, and after a
        # commit of unknown outcome that need not be the last one.
        try:
            self._values[attempt] = await self.body(view)
            await view.claimed()
        except GivenUp:
            raise
        except Exception:  # whatever a body raises; only a broken transaction changes what follows
            if not view.is_worth_rerun and not isinstance(view.failure, ClaimTaken):
                raise
        finally:
            # A task that a body left behind must not write into the next transaction of the
            # session.
            view.is_over = True
        if isinstance(view.failure, ClaimTaken):
            await self._abort()
            # Either this command was done before, or a transaction with the same nonce is open at
            # this moment and may still roll back: only what is committed decides.
            landed = await self._landed()
            return landed if landed is not None else TransactionConflict("The nonce is contended.")
        return await self._rerun_after(view)

    async def _rerun_after(self, view: TransactionView) -> StoreError | None:
        """Return the transient failure that broke the transaction, None when none did."""
        if view.failure is None:
            return None
        if not view.is_worth_rerun:
            raise view.failure
        await self._abort()
        return view.failure

    async def _abort(self) -> None:
        if self.session.in_transaction:
            with suppress(PyMongoError, TimeoutError):
                async with asyncio.timeout(self.budget.abort_s):
                    await self.session.abort_transaction()

    async def _roll_back(self) -> None:
        async with self._order:
            try:
                await self._abort()
            finally:
                self.give_back()

    async def _commit(self, attempt: int) -> int | StoreError:
        until = asyncio.get_running_loop().time() + self.budget.commit_s
        # The lock keeps a roll-back after a cancellation from meeting a commit on its way. The
        # driver allows a commit to be repeated: the server answers for the first one.
        async with self._order:
            tries = 0
            while True:
                try:
                    await self._ask_to_commit(tries)
                except PyMongoError as error:
                    outcome = await self._learn(error, until)
                    if outcome is not None:
                        return outcome
                else:
                    return attempt
                tries += 1
                await asyncio.sleep(backoff_s(tries))

    async def _ask_to_commit(self, tries: int) -> None:
        """Ask the server to commit: the first time as quickly as can be, then by the driver."""
        if tries == 0:
            with suppress(PyMongoError):  # whatever it means, the driver's answer to the next says
                await commit_once(self.database, self.session, _DURABLE)
                return
        await self.session.commit_transaction()

    async def _learn(self, error: PyMongoError, until: float) -> int | StoreError | None:
        """Return the result of a failed commit; None when only another commit can show it."""
        # The nonce first: a commit that reported an error may have taken effect all the same, and a
        # second run of the body would then do it twice (I9).
        landed = await self._landed_by(until)
        if landed is not None:
            return landed
        if not is_unknown_commit(error):
            # Known not to be committed: the body may run again.
            if is_transient(error):
                return mapped(error)
            raise mapped(error) from error
        if asyncio.get_running_loop().time() >= until:
            raise StoreUnavailable(_UNKNOWN) from error
        return None

    async def _landed_by(self, until: float) -> int | None:
        """Read the nonce back, again and again while the server is away, until the deadline."""
        tries = 0
        while True:
            try:
                return await self._landed()
            except StoreUnavailable as error:
                if asyncio.get_running_loop().time() >= until:
                    raise StoreUnavailable(_UNKNOWN) from error
            tries += 1
            await asyncio.sleep(backoff_s(tries))

    async def _landed(self) -> int | None:
        """Return the run of this call that was committed, None when none was.

        Raises:
            AlreadyDone: The nonce was committed by another call.
        """
        # Majority: a nonce that a fail-over could still roll back would be believed too early.
        commits = self.database.get_collection(COMMITS, read_concern=ReadConcern("majority"))
        try:
            row = await commits.find_one({"_id": self.nonce})
        except PyMongoError as error:
            raise mapped(error) from error
        if row is None:
            return None
        if row.get("by") != self._mark:
            raise AlreadyDone("This was done before.")
        return int(row["run"])

    async def _to_the_end(self, step: Coroutine[Any, Any, R]) -> R:
        """Await ``step``; a cancellation frees the caller, while the step goes on to its end."""
        task = asyncio.get_running_loop().create_task(step)
        self.tails.add(task)
        task.add_done_callback(self.tails.discard)
        return await asyncio.shield(task)
