"""Names of accounts: none may be taken for another, for buttons say nothing else (row A10)."""

from __future__ import annotations

from collections.abc import Collection

from core.domain.plain_text import shape_of
from core.errors import UserError

__all__ = ["refuse_taken_name"]


def refuse_taken_name(name: str, taken: Collection[str]) -> None:
    """Raise ``UserError`` where a name is taken, or looks like one that is."""
    if name.lower() in {one.lower() for one in taken}:
        raise UserError(f"Another account is called {name!r} already; expected a new name.")
    if shape_of(name) in map(shape_of, taken):
        raise UserError(
            f"The name of another account looks like {name!r}; expected one that nobody takes for "
            "it."
        )
