"""The Telegram bot: what the user sees and taps, on top of ``core.engine.control``."""

from __future__ import annotations

import os

__all__: list[str] = []

# python-telegram-bot hands out durations as timedelta only when asked to (its own switch); without
# it every flood answer also raises a deprecation warning from inside the library.
os.environ.setdefault("PTB_TIMEDELTA", "true")
