"""The packing of a finished day reads little at a time, however long the day was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from core.engine.orders.journal import LOT, move_finished
from core.ports.store import Document, StoreView
from tests.fakes.held_writer import Held
from tests.fakes.past import TABLES, everything, put_day

ONE, OTHER, DAY = "zerodha_aaaaaa", "zerodha_bbbbbb", "1969-12-10"
LATER = datetime.fromtimestamp(0, UTC)
A_QUESTION = 100


@pytest.fixture
async def handed(monkeypatch: pytest.MonkeyPatch) -> tuple[Held, list[list[Document]]]:
    """A writer over a long day of two accounts, and what the store has handed it since."""
    held, answers = await Held().opened(), list[list[Document]]()
    for account in (ONE, OTHER):
        await put_day(held.base, account, DAY, 5 * LOT + 3, steps=2)
    find = held.base.find

    async def noted(collection: str, where: Mapping[str, Any], **options: Any) -> list[Document]:
        rows = await find(collection, where, **options)
        if collection in TABLES:
            answers.append(rows)
        return rows

    monkeypatch.setattr(held.base, "find", noted)
    return held, answers


async def _lot(held: Held, nonce: str) -> int | None:
    async def body(view: StoreView) -> int | None:
        return await move_finished(view, ONE, DAY, LATER)

    return await held.writer.transaction(body, nonce=nonce)


async def test_lot_reads_no_more_than_it_moves(
    handed: tuple[Held, list[list[Document]]],
) -> None:
    """No question hands over a day, nor what is another account's, and memory keeps none of it."""
    held, answers = handed
    before = await everything(held.base)
    answers.clear()
    moved = list[int | None]()
    while not moved or moved[-1]:  # 0 when it is through
        moved.append(await _lot(held, f"lot {len(moved)}"))
        assert await held.writer.differences() == []
    rows = [row for answer in answers for row in answer]
    assert {row["broker_id"] for row in rows} == {ONE}
    assert max(map(len, answers)) <= A_QUESTION
    assert len(moved) == 7
    assert held.writer._memory.shelf("orders").docs == {}
    assert await everything(held.base) == before


async def test_day_of_long_ago_is_read_of_one_account(
    handed: tuple[Held, list[list[Document]]],
) -> None:
    """What is shown of it brings no other account's orders along."""
    held, answers = handed
    found = await held.writer.find("orders", {"broker_id": ONE, "day": DAY})
    assert len(found) == 5 * LOT + 3
    assert [len(one) for one in answers] == [len(found)]
    assert held.writer._memory.shelf("orders").docs == {}
