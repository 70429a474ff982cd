"""A stored notice is read again, by this version and by the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, get_args, get_type_hints

import pytest
from hypothesis import given, settings

from core.domain.notices.logins import LoginDone, LoginFailed
from core.domain.notices.notice import Notice
from core.domain.notices.orders import ExternalOrder
from core.domain.notices.runs import SlotMissed
from core.domain.notices.stored import KINDS, from_document, to_document
from core.domain.notices.stored import _typed as typed
from core.domain.notices.system import Started, Text
from core.errors import LoginFault, UnreadableNotice
from tests.fakes.notices import ALL_KINDS

pytestmark = pytest.mark.row("E5")

AT = datetime(2026, 11, 23, 4, 45, tzinfo=UTC)
BY_THE_FIRST_VERSION: Mapping[str, Mapping[str, Any]] = {
    "run_card": {"run_id": "r"},
    "order_rejected": {"client_order_id": "c"},
    "order_unresolved": {"client_order_id": "c"},
    "order_resolved": {"client_order_id": "c"},
    "order_revived": {"client_order_id": "c"},
    "order_update": {"client_order_id": "c"},
    "external_order": {"broker_id": "b", "client_order_id": "c"},
    "login_done": {"broker_id": "b", "user_name": "Gita"},
    "login_failed": {"broker_id": "b", "fault": "denied", "detail": ""},
    "login_silent": {"broker_id": "b"},
    "morning_round": {},
    "token_warning": {"broker_ids": ["a", "b"]},
    "account_parked": {"broker_id": "b", "reason": "r", "waiting_exits": ["c"]},
    "entries_dropped": {"broker_id": "b", "orders": ["c"]},
    "entry_missed": {"client_order_id": "c"},
    "slot_missed": {"strategy": "s", "slot_at": AT, "late_s": 61, "missed": 2},
    "no_data": {"strategy": "s", "detail": "d"},
    "run_failed": {"strategy": "s", "detail": "d"},
    "square_off_alarm": {"broker_id": "b", "strategy": "s", "positions": ["NSE:SBIN +1"]},
    "software_stop": {"broker_id": "b", "instrument": "NSE:SBIN", "reason": "r"},
    "anomaly": {"broker_id": "b", "text": "t"},
    "poller_trouble": {"text": "t"},
    "started": {},
    "text": {"text": "t"},
}


@settings(max_examples=30)  # each is one notice of every kind
@given(ALL_KINDS)
def test_every_notice_is_read_as_it_was_written(notices: tuple[Notice, ...]) -> None:
    """Nothing is lost between a notice and its document, whatever its fields hold."""
    assert {type(one) for one in notices} == set(get_args(Notice))
    for one in notices:
        assert from_document(to_document(one)) == one


def test_each_notice_has_its_own_stored_name() -> None:
    """Two notices of one name could not be told apart when they are read."""
    assert list(KINDS.values()) == list(get_args(Notice))


@pytest.mark.parametrize("kind", BY_THE_FIRST_VERSION)
def test_notices_of_the_first_version_are_read(kind: str) -> None:
    """A row that waited during an upgrade is delivered after it."""
    data = BY_THE_FIRST_VERSION[kind]
    assert to_document(from_document({"kind": kind, "data": data}))["data"].items() >= data.items()


def test_shrunk_position_of_the_first_version_is_read() -> None:
    """It was stored as an external order that had a text in place of an id."""
    row = {"kind": "external_order", "data": {"broker_id": "b", "text": "The broker holds 3."}}
    assert from_document(row) == Text("The broker holds 3.")
    row["data"] = {"broker_id": "b", "client_order_id": "c"}
    assert from_document(row) == ExternalOrder("b", "c")


def test_fields_that_came_or_went_do_no_harm() -> None:
    """An unknown field is ignored, a missing one takes its default."""
    row = {"kind": "started", "data": {"text": "Saarthi is running.", "colour": 7}}
    assert from_document(row) == Started(unknown_orders=0)
    row = {"kind": "login_done", "data": {"broker_id": "b"}}
    assert from_document(row) == LoginDone("b", user_name="")
    row = {"kind": "slot_missed", "data": {"strategy": "s", "slot_at": AT, "late_s": 61}}
    assert from_document(row) == SlotMissed("s", AT, 61, missed=0)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("of_the_future", {}),
        (None, {}),
        ("login_done", None),
        ("login_done", {}),
        ("login_done", {"broker_id": 7}),
        ("started", {"unknown_orders": True}),
        ("login_failed", {"broker_id": "b", "fault": "boredom"}),
        ("token_warning", {"broker_ids": "zerodha"}),
        ("token_warning", {"broker_ids": [None]}),
    ],
)
def test_what_cannot_be_read_is_said_to_be(kind: str | None, data: Any) -> None:
    """Neither guessed at nor any other error: the outbox lays it aside."""
    with pytest.raises(UnreadableNotice):
        from_document({"kind": kind, "data": data})


class Colour(StrEnum):
    """An enumeration as notices use them."""

    RED = "red"


@dataclass(frozen=True, slots=True)
class Sample:
    """A field of each type that notices may use."""

    kind: ClassVar[str] = "sample"
    text: str
    number: int
    flag: bool
    price: Decimal
    at: datetime
    names: tuple[str, ...]
    colour: Colour
    perhaps: Decimal | None


@pytest.mark.parametrize("price", [None, Decimal("812.35")])
def test_every_type_of_field_is_kept(price: Decimal | None) -> None:
    """Also those that no notice uses yet."""
    hints = get_type_hints(Sample)
    sample = Sample("t", 7, True, Decimal("0.05"), AT, ("a",), Colour.RED, price)
    stored = {**{one.name: getattr(sample, one.name) for one in fields(Sample)}, "names": ["a"]}
    read: dict[str, Any] = {name: typed(value, hints[name]) for name, value in stored.items()}
    assert Sample(**read) == sample and read["colour"] is Colour.RED


def test_faults_are_stored_as_plain_texts() -> None:
    """The store keeps no enumerations."""
    stored = to_document(LoginFailed("b", LoginFault.DENIED))["data"]["fault"]
    assert type(stored) is str and stored == "denied"
