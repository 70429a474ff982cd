"""Pages of what is too long for one message: fifty accounts have a page each ten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from bot.views.screen import Keyboard, button
from bot.views.verbs import Verb

__all__ = ["PAGE", "page_number", "page_row", "paged"]

PAGE = 10
_Item = TypeVar("_Item")


def paged(items: Sequence[_Item], page: int, size: int = PAGE) -> tuple[Sequence[_Item], int, int]:
    """Return the items of a page, which page it is, and how many there are."""
    pages = max(1, -(-len(items) // size))
    at = min(max(page, 0), pages - 1)
    return items[at * size : (at + 1) * size], at, pages


def page_row(page: int, pages: int, verb: Verb, *arguments: str) -> Keyboard:
    """Return the row that leads to the other pages; nothing for a single one."""
    if pages == 1:
        return ()
    page = min(max(page, 0), pages - 1)
    row = [button(f"{page + 1} of {pages}", verb, *arguments, page)]
    if page > 0:
        row.insert(0, button("‹ Back", verb, *arguments, page - 1))
    if page + 1 < pages:
        row.append(button("More ›", verb, *arguments, page + 1))
    return (tuple(row),)


def page_number(text: str) -> int:
    """Return the number that a button carries, 0 for anything else."""
    return int(text) if text.isdecimal() else 0
