"""Rows of one kind that look alike: where one of a message must break, all of them break.

A list in which one row has its price beside it and the next one below reads as if the two were of
different kinds. The shape of a row is therefore chosen for all rows of a message together, the
first of three in which each of them fits a phone:

- all in one line: ``🕒 Stop: sell 10 SBIN MIS · ₹805.00``;
- the figures in the next line;
- where deed and name do not fit together, the name in the next line, the figures beside the deed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.views.width import INDENT, fits_line, fitted

__all__ = ["ListRow", "laid_out"]


@dataclass(frozen=True, slots=True)
class ListRow:
    """One entry of a list; all parts are HTML, and what is '' is left out.

    Attributes:
        name: What it is about.
        figures: What stands beside the name: its price, its quantity, its result.
        deed: What stands before the name.
        below: Groups of parts, each in a line of its own under it.
        last: Lines under all of these, as they are.
    """

    name: str
    figures: tuple[str, ...] = ()
    deed: str = ""
    below: tuple[tuple[str, ...], ...] = ()
    last: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """What it begins with."""
        return f"{self.deed} {self.name}".strip()


def laid_out(rows: Sequence[ListRow], *, indent: str = "") -> list[str]:
    """Return the lines of each row, all rows in one shape.

    Args:
        rows: Those of one kind in one message.
        indent: Before the first line of each; those that follow are indented at least so.
    """
    is_one = all(fits_line(indent + _joined(row.head, *row.figures)) for row in rows)
    is_whole = all(fits_line(indent + row.head) for row in rows)
    deepest = max((len(row.below) for row in rows), default=0)
    beside = [_beside([_group(row, at) for row in rows], indent or INDENT) for at in range(deepest)]
    found = []
    for row in rows:
        lines = _first(row, indent, is_one=is_one, is_whole=is_whole)
        for at, most in enumerate(beside):
            lines += _below(_group(row, at), indent or INDENT, most)
        found.append("\n".join([*lines, *filter(None, row.last)]))
    return found


def _first(row: ListRow, indent: str, *, is_one: bool, is_whole: bool) -> list[str]:
    under = indent + INDENT if indent else INDENT
    if is_one:
        return [indent + _joined(row.head, *row.figures)]
    if is_whole or not row.deed:
        return [indent + row.head, *_flowing(row.figures, under)]
    return [fitted(row.deed, *row.figures, indent=indent), under + row.name]


def _beside(groups: Sequence[Sequence[str]], indent: str) -> int:
    """Return how many parts stand beside one another in all rows before a line ends."""
    longest = max(map(len, groups))
    return next(
        (
            most
            for most in range(longest, 1, -1)
            if all(fits_line(indent + _joined(*group[:most])) for group in groups)
        ),
        1,
    )


def _below(group: Sequence[str], indent: str, most: int) -> list[str]:
    if not group:
        return []
    return [indent + _joined(*group[:most]), *_flowing(group[most:], indent)]


def _flowing(parts: Sequence[str], indent: str) -> list[str]:
    text = fitted(*parts, indent=indent)
    return [text] if text else []


def _group(row: ListRow, at: int) -> list[str]:
    return [part for part in row.below[at] if part] if at < len(row.below) else []


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))
