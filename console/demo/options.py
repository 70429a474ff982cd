"""What ``saarthi demo`` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DemoOptions"]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of the command.

    Attributes:
        port: Of the chat page; 0 picks a free one.
        data: Where the demo keeps its state; None uses a directory that is removed at the end.
        autoplay: The scripted operator plays the whole story, and the demo ends with it.
        clock: Market time, ``SIM@WALL*SPEED``; ``@WALL`` and ``*SPEED`` may be left out.
        replay: A folder of recorded one-minute bars to trade on instead of the synthetic market.
    """

    port: int = 8080
    data: Path | None = None
    autoplay: bool = False
    clock: str | None = None
    replay: Path | None = None
