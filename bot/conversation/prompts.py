"""The question that a user has yet to answer: one row of ``prompts`` for each (chat, user).

A row has a stamp that changes with every step. The buttons of a step carry it, so an old button
cannot change a newer step. The row also records the update that led to its step, so a message that
is delivered again after a crash is not read as the answer to the next question.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core.ports.clock import Clock
from core.ports.store import Change, Document, Store

__all__ = ["SECRET_STEPS", "Prompt", "Prompts"]

_COLLECTION = "prompts"
_LIFETIME = timedelta(hours=2)
_ON_ITS_WAY = timedelta(minutes=15)
SECRET_STEPS = frozenset({"key", "secret", "paste"})
"""Steps, of any conversation, that ask for what may not stay in the chat."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """An open question.

    Attributes:
        kind: Which conversation: ``add``, ``rename``, ``login``, ``parameter``, ...
        step: The present step of that conversation.
        data: The answers so far; secrets are sealed.
        message_id: The message that shows the question.
        update_id: The update that led to this step.
    """

    key: str
    kind: str
    step: str
    data: Mapping[str, Any] = field(default_factory=dict)
    message_id: int | None = None
    update_id: int = 0
    session: str = ""
    version: int = 0
    expires_at: datetime | None = None

    @property
    def stamp(self) -> str:
        """The text that ties buttons to this step."""
        return f"{self.session}.{self.version}"


class Prompts:
    """Stores the open questions and moves them from step to step."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._secret_at: dict[str, datetime] = {}

    def asked_secret_lately(self, chat_id: int, user_id: int) -> bool:
        """Whether a key, secret or login code was asked for, and may still be on its way."""
        at = self._secret_at.get(_key(chat_id, user_id))
        return at is not None and self._clock.now() - at < _ON_ITS_WAY

    def _note(self, prompt: Prompt) -> Prompt:
        if prompt.step in SECRET_STEPS:
            self._secret_at[prompt.key] = self._clock.now()
        return prompt

    async def current(self, chat_id: int, user_id: int) -> Prompt | None:
        """Return the open question, or None."""
        row = await self._store.get(_COLLECTION, _key(chat_id, user_id))
        return None if row is None else _read(row)

    def is_expired(self, prompt: Prompt) -> bool:
        """Return whether it was left unanswered for too long."""
        return prompt.expires_at is not None and self._clock.now() > prompt.expires_at

    async def open(
        self,
        chat_id: int,
        user_id: int,
        kind: str,
        step: str,
        data: Mapping[str, Any],
        *,
        update_id: int,
    ) -> Prompt:
        """Start a conversation in place of any other; the same update starts it only once."""
        present = await self.current(chat_id, user_id)
        # The same update after a crash: the session stays, so that buttons sent before still fit.
        if present is not None and present.update_id == update_id and present.kind == kind:
            return present
        prompt = Prompt(
            key=_key(chat_id, user_id),
            kind=kind,
            step=step,
            data=dict(data),
            update_id=update_id,
            session=secrets.token_hex(3),
            expires_at=self._clock.now() + _LIFETIME,
        )
        await self._store.update(
            _COLLECTION, {"_id": prompt.key}, Change(set=_row(prompt)), upsert=True
        )
        return self._note(prompt)

    async def move(
        self, prompt: Prompt, step: str, data: Mapping[str, Any], *, update_id: int
    ) -> Prompt | None:
        """Go to another step; None when another update moved it in the meantime."""
        moved = Prompt(
            key=prompt.key,
            kind=prompt.kind,
            step=step,
            data=dict(data),
            message_id=None,
            update_id=update_id,
            session=prompt.session,
            version=prompt.version + 1,
            expires_at=self._clock.now() + _LIFETIME,
        )
        where = {"_id": prompt.key, "session": prompt.session, "version": prompt.version}
        matched = await self._store.update(_COLLECTION, where, Change(set=_row(moved)))
        return self._note(moved) if matched == 1 else None

    async def shown_in(self, prompt: Prompt, message_id: int) -> None:
        """Record which message shows the question."""
        where = {"_id": prompt.key, "session": prompt.session, "version": prompt.version}
        await self._store.update(_COLLECTION, where, Change(set={"prompt_message_id": message_id}))

    async def close(self, prompt: Prompt) -> None:
        """End the conversation and delete its answers."""
        await self._store.delete(_COLLECTION, {"_id": prompt.key, "session": prompt.session})


def _key(chat_id: int, user_id: int) -> str:
    return f"{chat_id}:{user_id}"


def _row(prompt: Prompt) -> Document:
    return {
        "kind": prompt.kind,
        "step": prompt.step,
        "data": dict(prompt.data),
        "prompt_message_id": prompt.message_id,
        "update_id": prompt.update_id,
        "session": prompt.session,
        "version": prompt.version,
        "expires_at": prompt.expires_at,
    }


def _read(row: Document) -> Prompt:
    return Prompt(
        key=row["_id"],
        kind=row["kind"],
        step=row["step"],
        data=row["data"],
        message_id=row["prompt_message_id"],
        update_id=row["update_id"],
        session=row["session"],
        version=row["version"],
        expires_at=row["expires_at"],
    )
