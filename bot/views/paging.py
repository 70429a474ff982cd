"""Pages of what is too long for one message: by rows and by length, never within a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from bot.views.markup import units
from bot.views.screen import Keyboard, button
from bot.views.verbs import Verb

__all__ = ["PAGE", "ROOM", "fitting", "page_number", "page_row", "paged"]

PAGE = 10
ROOM = 2500
"""How long the rows of a page may be together: what stands above and below them has the rest."""
_Item = TypeVar("_Item")


def fitting(texts: Sequence[str], most: int, room: int = ROOM) -> int:
    """Return how many of the first texts are shown: as many as have room, and one at least."""
    for count, text in enumerate(texts[:most]):
        room -= units(text) + 1
        if room < 0 and count:
            return count
    return min(len(texts), most)


def paged(
    items: Sequence[_Item],
    page: int,
    size: int = PAGE,
    *,
    texts: Sequence[str] = (),
    room: int = ROOM,
) -> tuple[Sequence[_Item], int, int]:
    """Return the items of a page, which page it is, and how many there are.

    Args:
        items: All of them.
        page: The page that is asked for; one beyond the last is the last.
        size: The most items of a page.
        texts: What each is shown as, for a page holds no more than there is room for.
        room: How long these may be together.
    """
    starts: list[int] = []
    start = 0
    while start < len(items) or not starts:
        starts.append(start)
        start += fitting(texts[start:], size, room) if texts else size
    at = min(max(page, 0), len(starts) - 1)
    end = starts[at + 1] if at + 1 < len(starts) else len(items)
    return items[starts[at] : end], at, len(starts)


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
