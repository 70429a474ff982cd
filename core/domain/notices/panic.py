"""Notices of a panic: its live message, and how to come back from it (row R2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

__all__ = ["PanicCard", "PanicNotice", "PanicOver"]


@dataclass(frozen=True, slots=True)
class PanicCard:
    """A panic as it stands: what is flat, what is left, what stands in the way."""

    kind: ClassVar[str] = "panic_card"
    panic_id: str


@dataclass(frozen=True, slots=True)
class PanicOver:
    """A panic has ended: what it closed and brought, what is left, how to come back."""

    kind: ClassVar[str] = "panic_over"
    panic_id: str


PanicNotice: TypeAlias = PanicCard | PanicOver
