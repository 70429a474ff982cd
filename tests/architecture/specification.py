"""What docs/spec defines: its pages, their sections, and the ids of rows, invariants and cases."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["CASES", "DOCS", "INVARIANTS", "ROOT", "ROWS", "SPEC", "page_for", "sections_of"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SPEC = DOCS / "spec"

_DEFINED = re.compile(r"^\| ([A-Z]\d{1,2}) \|", re.MULTILINE)
_HEADING = re.compile(r"^#{2,4} (?:(\d+(?:\.\d+)*|[A-Z])\.? )?(.+)$")
_POINT = re.compile(r"^(\d+)\. ")


def _ids(page: str, form: str) -> frozenset[str]:
    text = (SPEC / page).read_text(encoding="utf-8")
    found = [name for name in _DEFINED.findall(text) if re.fullmatch(form, name)]
    if len(found) != len(set(found)):
        raise ValueError(f"{page} defines an id twice: {sorted(found)}")
    return frozenset(found)


ROWS = _ids("product.md", r"[A-Z][1-9]\d?")
"""Rows of the product, such as A3."""
INVARIANTS = _ids("reliability.md", r"I[1-9]\d?")
"""Invariants, such as I7."""
CASES = _ids("reliability.md", r"[A-Z]\d{2}") - INVARIANTS
"""Cases of the fault matrix, such as N07."""


def page_for(name: str, cited_in: Path) -> Path | None:
    """Return the file that a citation such as ``facts/kite.md`` means, None when there is none.

    Names resolve beside the file that cites them, from the root of the repository, within docs/spec
    and its facts, and within docs.
    """
    places = (cited_in.parent, ROOT, SPEC, SPEC / "facts", DOCS)
    return next((found for place in places if (found := place / name).is_file()), None)


@cache
def sections_of(page: Path) -> frozenset[str]:
    """Return what can be cited of a page: numbered sections and points, titles, ids."""
    text = page.read_text(encoding="utf-8")
    found = set(_DEFINED.findall(text))
    section = ""
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            section = heading[1] or ""
            found |= {section, heading[2]}
        elif section and (point := _POINT.match(line)):
            found.add(f"{section}.{point[1]}")
    return frozenset(found - {""})
