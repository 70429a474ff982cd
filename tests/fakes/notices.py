"""Notices of every kind, with whatever values their fields may hold."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_type_hints

from hypothesis import strategies as st

from core.domain.notices.notice import Notice
from core.domain.notices.results import ClosedBy
from core.domain.notices.stored import KINDS
from core.domain.order import Side
from core.domain.result_guard import Reached
from core.errors import LoginFault

__all__ = ["ALL_KINDS", "any_notice"]

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
MOMENTS = st.integers(0, 10**12).map(
    lambda ms: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
DECIMALS = st.decimals(
    allow_nan=False, allow_infinity=False, places=2, min_value=-1e9, max_value=1e9
)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    str | None: st.none() | TEXTS,
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    Decimal: DECIMALS,
    Decimal | None: st.none() | DECIMALS,
    datetime: MOMENTS,
    datetime | None: st.none() | MOMENTS,
    LoginFault: st.sampled_from(LoginFault),
    Reached: st.sampled_from(Reached),
    ClosedBy: st.sampled_from(ClosedBy),
    Side: st.sampled_from(Side),
    tuple[int, ...]: st.lists(st.integers(0, 9), max_size=3).map(tuple),
    tuple[Decimal, ...]: st.lists(DECIMALS, max_size=3).map(tuple),
    tuple[str, ...]: st.lists(TEXTS, max_size=3).map(tuple),
}


def any_notice(kind: type[Notice]) -> st.SearchStrategy[Notice]:
    """Return notices of a kind; a field of a type that is not in the table is a ``KeyError``."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{one.name: VALUES[hints[one.name]] for one in fields(kind)})


ALL_KINDS = st.tuples(*(any_notice(kind) for kind in KINDS.values()))
"""One notice of each kind."""
