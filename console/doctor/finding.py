"""The result of a check: one line, with advice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level", "fail", "ok", "warn"]


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``advice`` says what to do."""

    level: Level
    check: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        """Return the line; line breaks in a server's text are removed."""
        line = f"{self.level.value:<4}  {self.check:<14}  {self.text}"
        return " ".join((line + (f" -> {self.advice}" if self.advice else "")).splitlines())


def ok(check: str, text: str) -> Finding:
    """Return a check that passed."""
    return Finding(Level.OK, check, text)


def warn(check: str, text: str, advice: str) -> Finding:
    """Return something that works but needs attention."""
    return Finding(Level.WARN, check, text, advice)


def fail(check: str, text: str, advice: str) -> Finding:
    """Return something that keeps Saarthi from working."""
    return Finding(Level.FAIL, check, text, advice)
