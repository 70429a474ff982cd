"""An account of the demo's story."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Actor"]


@dataclass(frozen=True, slots=True)
class Actor:
    """One account of the story, as the sandbox has it and as the chat will call it."""

    broker: str
    type_label: str
    name: str
    api_key: str
    api_secret: str
    user_id: str
    redirect_url: str

    @property
    def label(self) -> str:
        """``Zerodha - Main``."""
        return f"{self.type_label} - {self.name}"
