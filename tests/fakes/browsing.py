"""A browser that is waited for as long as a busy machine needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Playwright

__all__ = ["launched"]

_PATIENCE_MS = 120_000.0
_SHARES_FILES = "--disable-dev-shm-usage"
"""A container's /dev/shm often has 64 MB, less than the picture of a long chat."""


async def launched(playwright: Playwright, chromium: Path, arguments: Sequence[str]) -> Browser:
    """Start Chromium; nothing that is waited for in its pages is given up after half a minute."""
    browser = await playwright.chromium.launch(
        executable_path=chromium, args=[_SHARES_FILES, *arguments], timeout=_PATIENCE_MS
    )
    new_context = browser.new_context

    async def patient(**options: Any) -> BrowserContext:
        context = await new_context(**options)
        context.set_default_timeout(_PATIENCE_MS)
        return context

    browser.new_context = patient  # type: ignore[method-assign]
    return browser
