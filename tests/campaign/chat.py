"""The messenger of a campaign in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from core.domain.notices.post import Post
from core.ports.notifier import Delivered, TryLater
from tests.faults.watch import Watch

__all__ = ["Chat"]


@dataclass
class Chat:
    """The messenger: what it shows, and what goes wrong on the way to it.

    Attributes:
        away_until: Until then it answers nothing, world's seconds.
        loses_answers: How many of the next deliveries arrive and are not confirmed.
        look: Called with what arrives, at the moment at which its text is made.
    """

    now: Callable[[], float]
    watch: Watch | None = None
    delivered: list[tuple[int, str, bool, Post]] = field(default_factory=list)
    away_until: float = 0.0
    loses_answers: int = 0
    bitten: int = 0
    look: Callable[[Post], None] = lambda _post: None

    async def deliver(
        self,
        chat_id: int,
        post: Post,
        *,
        notice_id: str,
        message_id: int | None,
        is_repeat: bool,
    ) -> Delivered | TryLater:
        if self.watch is not None:
            await self.watch.before("deliver")
        if self.now() < self.away_until:
            self.bitten += 1
            return TryLater(3.0, "the messenger is away")
        self.delivered.append((chat_id, notice_id, is_repeat, post))
        self.look(post)
        if self.watch is not None:
            await self.watch.after("deliver")
        if self.loses_answers:
            self.loses_answers -= 1
            self.bitten += 1
            return TryLater(1.0, "no answer in time", may_have_arrived=True)
        return Delivered(message_id or len(self.delivered))
