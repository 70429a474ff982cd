"""Polls of strangers are judged by their bytes; whoever is served is never in one (rows G1, R2)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.edge.crowd import Crowd, crowd_of
from tests.unit.bot.test_strangers import OWNER, STRANGER, said, tapped

pytestmark = [pytest.mark.row("R2"), pytest.mark.row("G1")]


def poll(*updates: Any, **form: Any) -> bytes:
    """Return the answer to a poll."""
    return json.dumps({"ok": True, "result": list(updates)}, **form).encode()


CROWD = [said(n, 100_000 + n, 'it is "update_id": 9, {\\ ok}') for n in range(1, 41)]


@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}, {"indent": 1}], ids=str)
def test_strangers_are_counted_and_named(form: dict[str, Any]) -> None:
    """The last id is that of the last update, whatever texts say."""
    body = poll(*CROWD, tapped(41, STRANGER, data='{"update_id": 99,'), **form)
    found = crowd_of(body, [OWNER], 3)
    assert found == Crowd(41, 41, (100_001, 100_002, 100_003)) and not found.is_full
    full = crowd_of(poll(*CROWD, *CROWD, *CROWD, **form), [OWNER], 0)
    assert full is not None and full.is_full


@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}, {"indent": 1}], ids=str)
@pytest.mark.parametrize(
    "one",
    [
        said(50, OWNER),
        said(50, OWNER, "/panic"),
        tapped(50, OWNER),
        said(50, STRANGER, f"I am {OWNER}"),
        {"update_id": 50, "message": {"date": "x", "from": {"first_name": "A", "id": OWNER}}},
    ],
    ids=str,
)
def test_a_poll_with_a_served_user_is_read(one: dict[str, Any], form: dict[str, Any]) -> None:
    """Wherever their id stands, first or last, in whatever order of fields."""
    for body in (poll(*CROWD, one, **form), poll(one, *CROWD, **form)):
        assert crowd_of(body, [31337, OWNER], 5) is None
        assert crowd_of(body, [31337, 31338], 5) is not None


def test_an_id_within_another_number_is_none() -> None:
    """Otherwise a short id would have every poll read."""
    assert crowd_of(poll(said(1, int(f"{OWNER}0")), said(2, int(f"9{OWNER}"))), [OWNER], 5)


def test_an_answer_that_was_cut_is_never_passed_over() -> None:
    """Its last update could be a served user's, whose id is what was lost."""
    whole = poll(*CROWD[:3], said(50, OWNER, entities=[{"type": "bold", "offset": 0, "length": 1}]))
    assert [n for n in range(len(whole)) if crowd_of(whole[:n], [OWNER], 5)] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        poll(),
        b'{"ok": false, "result": []}',
        b'{"ok":true,"result":true}',
        b"<html>]}",
        poll({"message": said(1, STRANGER)["message"]}),
        poll({"update_id": "7"}),
        poll({"update_id": -7, "message": 1}),
    ],
    ids=str,
)
def test_what_is_no_poll_of_updates_is_read(body: bytes) -> None:
    """Reading says what is wrong with it."""
    assert crowd_of(body, [OWNER], 5) is None
