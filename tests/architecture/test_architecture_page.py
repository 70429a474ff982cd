"""The page on the architecture is true to the tree: it names every package, with what it is for."""

from __future__ import annotations

import re

from core.adapters.brokers import PROFILES
from tests.architecture.specification import DOCS, ROOT
from tests.architecture.test_repository import SHIPPED, tracked

PAGE = (DOCS / "architecture.md").read_text(encoding="utf-8")


def packages() -> set[str]:
    """Return every package of the tree, ``core/engine/orders/`` for example."""
    found = (path.relative_to(ROOT) for path in tracked() if path.name == "__init__.py")
    return {f"{path.parent}/" for path in found if path.parts[0] in SHIPPED}


def unnamed(page: str) -> set[str]:
    """Return packages without a row that says what they answer for; brokers share a row."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_/{}]+/)`", row)}
    of_brokers = {
        name.format(broker=one.name, api=one.api_name) for name in named for one in PROFILES
    }
    return packages() - of_brokers


def test_every_package_is_named() -> None:
    """A package that is added or moved is found on the page."""
    assert len(packages()) > 20
    assert unnamed(PAGE) == set()


def test_package_that_is_not_named_is_found() -> None:
    """The search sees a missing row; a mention in the text is no row."""
    assert unnamed(PAGE.replace("| `bot/edge/` |", "`bot/edge/` ")) == {"bot/edge/"}
