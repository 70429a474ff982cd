"""``SingleWriterStore``: the store port for the process that holds the lease.

The holder of the lease is the only process that writes (I10), so what it has committed is what the
store holds, and it need not ask. What it promises is what the port promises: a transaction that
returned is durable, in the same commit as all that it wrote; one whose commit is of unknown outcome
is read back before anything else is done. Each commit proves by the fence that the lease is still
held, so another controller's take-over ends all of them.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from copy import copy
from typing import Any, TypeVar

from core.adapters.mongo.schema import COLLECTIONS, Collection
from core.adapters.single_writer.body import BodyView, Layers
from core.adapters.single_writer.comparison import Comparison
from core.adapters.single_writer.contention import Contention, Patience
from core.adapters.single_writer.fence import DoneBefore, Fence, WrittenOutside, held, why_not_held
from core.adapters.single_writer.groups import (
    MOST_MEMBERS,
    Group,
    Member,
    Outcome,
    answer_to,
    batches,
    write_once,
)
from core.adapters.single_writer.memory import Memory
from core.adapters.single_writer.reads import Reads
from core.adapters.single_writer.writes import WriteNumbers
from core.errors import (
    AlreadyDone,
    Denied,
    DuplicateKey,
    LeaseLost,
    StaleWrite,
    StoreUnavailable,
    TransactionConflict,
    Unmatched,
)
from core.ports.clock import Clock
from core.ports.store import OUTSIDE, Batch, BulkView, Change, Document, ServedStore, StoreView

__all__ = ["SingleWriterStore"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_COMMITS = "commits"
_REMEMBERED = 20_000
_GATHERS = 4


class SingleWriterStore(Reads):
    """A store that keeps what it has written, while it is the only one who writes.

    Args:
        base: The store that everything is committed to.
        clock: For the times of nonces.
        collections: The schema.
        deadline_s: Longest time for all runs of a body.
    """

    def __init__(
        self,
        base: ServedStore,
        clock: Clock,
        collections: Sequence[Collection] = COLLECTIONS,
        *,
        deadline_s: float = 8.0,
    ) -> None:
        super().__init__(base)
        self._clock = clock
        self._memory = Memory(base, clock, collections)
        self._comparison = Comparison(self._memory, base)
        self._contention = Contention(self._memory, base)
        self._deadline_s = deadline_s
        self._is_alone = base.server_kind() == "embedded"
        self._fence: Fence | None = None
        self._outside = 0
        self._groups: list[Group] = []
        self._moves = WriteNumbers()
        self._doubt: Group | None = None
        self._is_stale = False
        self._lost: LeaseLost | None = None
        self._settling = asyncio.Lock()
        self._worker: asyncio.Task[None] | None = None
        self._done: OrderedDict[str, None] = OrderedDict()
        self._under_way: dict[str, asyncio.Future[Outcome | Exception]] = {}

    # -- the server ------------------------------------------------------------------------------

    def contended(self, collection: str) -> frozenset[str]:
        """Return the ids of documents that somebody else kept locked lately."""
        return self._contention.documents(collection)

    def changes(self, others: Container[str]) -> int | None:
        """Return a number that rises with what is written beside these (see the port)."""
        is_known = self._fence is not None and not self._is_unsure()
        return self._moves.beside(others) if is_known else None

    async def hold(self, collection: str, where: Mapping[str, Any]) -> None:
        """Be the only one who writes from now on (see the port)."""
        self._fence = Fence(collection, dict(where))
        self._is_stale, self._lost, self._doubt = True, None, None
        try:
            await self._settle()
        except BaseException:
            self._fence = None
            raise

    async def release(self) -> None:
        """Commit what is under way, and let every call through again."""
        while self._worker is not None:
            await asyncio.wait([self._worker])
        self._fence = None

    # -- writes ----------------------------------------------------------------------------------

    async def insert(self, collection: str, *documents: Document) -> None:
        """Insert documents; each carries its own ``_id``."""
        if self._fence is None or self._memory.rule(collection).is_aside:
            await self.base.insert(collection, *documents)
        else:
            await self._run(lambda view: view.insert(collection, *documents), None)

    async def update(
        self,
        collection: str,
        where: Mapping[str, Any],
        change: Change,
        *,
        upsert: bool = False,
        many: bool = False,
    ) -> int:
        """Change one (or with ``many`` every) matching document; return how many matched."""
        if self._fence is None or self._memory.rule(collection).is_aside:
            return await self.base.update(collection, where, change, upsert=upsert, many=many)
        return await self._run(
            lambda view: view.update(collection, where, change, upsert=upsert, many=many), None
        )

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        """Delete every matching document; return how many."""
        if self._fence is None or self._memory.rule(collection).is_aside:
            return await self.base.delete(collection, where)
        return await self._run(lambda view: view.delete(collection, where), None)

    async def transaction(self, body: Callable[[BulkView], Awaitable[T]], *, nonce: str) -> T:
        """Run ``body`` in one transaction and commit it at most once (see the port)."""
        if self._fence is None:
            return await self.base.transaction(body, nonce=nonce)
        return await self._run(body, nonce)

    async def _run(self, body: Callable[[BulkView], Awaitable[T]], nonce: str | None) -> T:
        until = asyncio.get_running_loop().time() + self._deadline_s
        patience = Patience(MOST_MEMBERS)
        while True:
            await self._ready()
            if nonce is not None:
                await self._refuse_done(nonce)
            view = BodyView(
                self._memory,
                self.base,
                self._pending,
                lambda: self._moves.number,
                self._moves.of,
            )
            value, is_good = await self._attempt(body, view, until, nonce)
            outcome: Outcome | Exception = Outcome.RERUN
            if is_good and not self._is_unsure():
                if nonce is None and not view.layers:
                    outcome = await self._seen()
                else:
                    # Nothing may run between the proof that what was read stands, and this.
                    outcome = await self._joined(view, nonce, patience)
            if outcome is Outcome.LANDED:
                answer: T = value
                return answer
            if isinstance(outcome, Exception):
                raise copy(outcome)  # its own: raised by many, one would gather all their frames
            if asyncio.get_running_loop().time() >= until:
                raise TransactionConflict("Other writes were faster, again and again.")

    async def _joined(
        self, view: BodyView, nonce: str | None, patience: Patience
    ) -> Outcome | Exception:
        """Have what a body wrote committed with what others wrote, and return what came of it."""
        suspects = self._contention.suspects(view.layers)
        if suspects and self._groups and patience.lets_others_go():
            await self._groups[-1].ended.wait()  # upon what is refused they would run again
            return Outcome.RERUN
        if suspects and await self._contention.first_locked(suspects) is not None:
            outcome: Outcome | Exception = Outcome.CONTENDED
        elif suspects and (not view.is_current() or self._is_unsure()):
            return Outcome.RERUN
        else:
            member = self._join(view, nonce, 1 if suspects else patience.most)
            outcome = await asyncio.shield(member.ended)
        if outcome is Outcome.SMALLER:
            patience.most = max(1, member.group_size // 2)
        elif outcome is Outcome.CONTENDED:
            self._contention.note(view.layers)
            await patience.after_refusal()
        return outcome

    async def _attempt(
        self,
        body: Callable[[BulkView], Awaitable[T]],
        view: BodyView,
        until: float,
        nonce: str | None,
    ) -> tuple[Any, bool]:
        """Run the body once; return its value, and whether that may be committed."""
        value: Any = None
        try:
            async with asyncio.timeout_at(until) as limit:
                value = await body(view)
        except Exception as error:  # whatever a body raises: out of date, it means nothing
            if isinstance(error, TimeoutError) and limit.expired():
                raise StoreUnavailable("The transaction did not end in time.") from error
            is_good = view.is_current() and not self._is_unsure()
            if is_good and await self._seen() is Outcome.LANDED:
                await self._refuse_committed(nonce, error)
                raise
            return None, False
        finally:
            view.is_over = True
        if view.failure is not None:
            raise view.failure  # a body that goes on after an error commits nothing
        return value, view.is_current()

    def _is_unsure(self) -> bool:
        return self._doubt is not None or self._is_stale or self._lost is not None

    async def _seen(self) -> Outcome:
        """Wait for the commits that a body saw before they were durable."""
        if not self._groups:
            return Outcome.LANDED
        last = self._groups[-1]
        await last.ended.wait()
        return Outcome.LANDED if last.has_landed else Outcome.RERUN

    async def _refuse_done(self, nonce: str) -> None:
        while nonce in self._under_way:
            await asyncio.shield(self._under_way[nonce])
        if nonce in self._done:
            raise AlreadyDone("This was done before.")

    async def _refuse_committed(self, nonce: str | None, error: Exception) -> None:
        """Raise ``AlreadyDone`` where an earlier controller has committed what a body now refuses.

        A wish that is delivered again finds what it has changed itself, and takes it for another's.
        """
        if nonce is None or isinstance(error, Denied):  # a denial is no answer to a wish
            return
        if await self.base.get(_COMMITS, nonce) is not None:
            raise AlreadyDone("This was done before.") from error

    # -- groups ----------------------------------------------------------------------------------

    def _pending(self) -> list[Layers]:
        return [group.layers for group in self._groups]

    def _join(self, view: BodyView, nonce: str | None, most: int) -> Member:
        loop = asyncio.get_running_loop()
        member = Member(nonce, loop.create_future())
        last = self._groups[-1] if self._groups else None
        if last is None or last.is_full or len(last.members) >= most:
            last = Group(most=most)
            self._groups.append(last)
        last.most = min(last.most, most)
        last.join(member, view.layers)
        self._moves.note(view.layers)
        if nonce is not None:
            self._under_way[nonce] = member.ended
        if self._worker is None:
            self._start()
        return member

    def _end(self, group: Group, outcome: Outcome | Exception) -> None:
        # Before anybody hears of it: who asks for the nonce next must not find it under way.
        for member in group.members:
            if member.nonce is not None:
                self._under_way.pop(member.nonce, None)
        group.end(outcome)

    async def _work(self) -> None:
        """Commit groups, one after another, until none is left."""
        while self._groups:
            await self._gather()
            group = self._groups[0]
            group.is_closed = True
            try:
                await self._commit(group)
            except Exception as error:  # noqa: BLE001 - it is the answer to the members
                is_found = type(error) is TransactionConflict and await self._contention.find(
                    group.layers, error
                )
                self._failed(group, error, is_found=is_found)
            else:
                self._land(group)
                self._groups.pop(0)
                self._end(group, Outcome.LANDED)

    def _worked(self, worker: asyncio.Task[None]) -> None:
        """Leave nobody waiting, also when the worker was cancelled, before its first step too."""
        self._worker = None
        if not self._groups:
            return
        if worker.cancelled() or worker.exception() is not None:
            # What came of the first is not known.
            self._failed(self._groups[0], StoreUnavailable("The store is being closed."))
        else:
            self._start()  # somebody joined when it had just looked for the last time

    def _start(self) -> None:
        work = asyncio.get_running_loop().create_task(self._work(), name="commits")
        work.add_done_callback(self._worked)
        self._worker = work

    async def _gather(self) -> None:
        """Let whoever is ready at this moment join."""
        before = -1
        for _ in range(_GATHERS):
            now = sum(len(group.members) for group in self._groups)
            if now == before or self._groups[0].is_full:
                return
            before = now
            await asyncio.sleep(0)

    async def _commit(self, group: Group) -> None:
        group.trim(self._memory, is_alone=self._is_alone)
        written = list(batches(group, self._memory.collections))
        now = self._clock.now()
        nonces = group.nonces(now)
        condition = held(self._fence, self._outside, now)
        everything = [(_COMMITS, Batch(inserts=nonces)), *written] if nonces else written

        try:
            await write_once(self.base, group.key, condition, everything)
        except DuplicateKey as error:
            if error.collection == _COMMITS:
                raise DoneBefore("A nonce was committed before.") from error
            raise
        except Unmatched as error:
            if self._fence is None:
                raise
            raise await why_not_held(self.base, self._fence) from error

    def _land(self, group: Group) -> None:
        self._memory.apply(group.layers)
        for member in group.members:
            if member.nonce is not None:
                self._done[member.nonce] = None
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)
        self._moves.note(group.layers)

    def _failed(self, group: Group, error: Exception, *, is_found: bool = False) -> None:
        """Answer the members of a group that did not commit, and of those worked out upon it.

        With ``is_found`` it is known whose write was refused: the others need no halves.
        """
        later = [one for one in self._groups if one is not group]
        size = f"{len(group.members)} members"
        _log.info("a group did not commit (%s): %s: %s", size, type(error).__name__, error)
        self._groups.clear()
        for one in (group, *later):
            self._moves.note(one.layers)
        if isinstance(error, LeaseLost):
            self._lost = error
        elif isinstance(error, StoreUnavailable):
            self._doubt = group
        elif isinstance(error, WrittenOutside) or self._is_wrong(group, error):
            self._is_stale = True
        self._end(group, Outcome.RERUN if is_found else answer_to(group, error))
        for one in later:
            self._end(one, error if isinstance(error, LeaseLost) else Outcome.RERUN)

    def _is_wrong(self, group: Group, error: Exception) -> bool:
        """Whether a refusal shows that memory is not what the store holds."""
        is_known = (
            isinstance(error, StaleWrite) and not self._memory.rule(error.collection).is_foreign
        )
        return is_known and len(group.members) == 1

    # -- what is not known -----------------------------------------------------------------------

    async def _ready(self) -> None:
        """Return when memory is what the store holds.

        Raises:
            LeaseLost: Another controller writes now.
            StoreUnavailable: It cannot be learned what a commit did.
        """
        if self._lost is not None:
            raise LeaseLost(str(self._lost))
        if self._doubt is not None or self._is_stale:
            await self._settle()

    async def _settle(self) -> None:
        async with self._settling:
            if self._doubt is not None:
                await self._learn(self._doubt)
                self._doubt = None
            # What lands was worked out upon the memory that there is: it is read anew after that.
            while self._is_stale and self._worker is not None:
                await asyncio.wait([self._worker])
            if self._is_stale and self._fence is not None:
                await self._read_anew(self._fence)
                self._is_stale = False

    async def _learn(self, group: Group) -> None:
        """Learn whether a group was committed, and take it over if it was."""

        async def body(view: StoreView) -> Document | None:
            # In a transaction: it is of the session that the group's was of, which ends that one
            # if it is open still. From here on the group can no longer land.
            return await view.get(_COMMITS, group.key)

        if await self.base.transaction(body, nonce=f"settle:{secrets.token_hex(12)}") is not None:
            self._land(group)

    async def _read_anew(self, fence: Fence) -> None:
        await self.base.update(fence.collection, fence.where, Change(inc={OUTSIDE: 0}))
        rows = await self.base.find(fence.collection, fence.where)
        if not rows:
            self._lost = LeaseLost("another controller holds a newer lease")
            raise LeaseLost(str(self._lost))
        self._outside = rows[0][OUTSIDE]
        await self._memory.open()
        self._moves.note(self._memory.collections)

    async def differences(self, collection: str | None = None, *, most: int = 0) -> list[str]:
        """Compare memory with the store (see the port); commits need not pause for it."""
        if self._fence is None:
            return []
        await self._ready()
        outside, now = self._outside, self._clock.now()
        found: list[str] = []
        for name in [collection] if collection else list(self._memory.shelves):
            found += await self._comparison.differences(name, most, now, self._pending)
        # While a commit's outcome is not known, nor is what the store should hold.
        if not found or self._is_unsure():
            return []
        self._is_stale = True
        return [] if await self._was_written_outside(outside) else found

    async def _was_written_outside(self, known: int) -> bool:
        """Whether another process has written, and said so, since memory was read."""
        fence = self._fence
        rows = await self.base.find(fence.collection, fence.where) if fence is not None else []
        return not rows or rows[0][OUTSIDE] != known
