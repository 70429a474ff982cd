"""Notices are posted inside of transactions: their order is that in which they are written (I8)."""

from __future__ import annotations

import ast

from tests.architecture.test_repository import modules

DRIVERS = ("bot", "console", "core", "webhooks")


def outside(text: str) -> list[int]:
    """Return the lines that post a notice to a store, and not to the view of a transaction."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr != "post" or not node.args:
            continue
        if ast.unparse(node.func.value).endswith("outbox"):
            found += [node.lineno] if ast.unparse(node.args[0]).endswith("store") else []
    return found


def test_no_notice_is_posted_outside_of_a_transaction() -> None:
    """``post_alone`` is for one that no event's transaction has."""
    places = {place: outside(text) for place, text in modules(*DRIVERS)}
    assert {place: lines for place, lines in places.items() if lines} == {}


def test_post_to_a_store_is_found() -> None:
    """A view passes, and so does what posts in a transaction of its own."""
    assert outside("self._outbox.post(self._store, Post(x))\noutbox.post(store, x)") == [1, 2]
    assert (
        outside("self._outbox.post(view, x)\noutbox.post_alone(store, x)\nhttp.post(store)") == []
    )
