"""Every collection of the store: what it holds, its indexes by name, its validator.

To add a collection, add one ``collection(...)`` to ``COLLECTIONS``; the next start brings every
store up to it (``migrations.py``). Every ``_id`` is a string. Indexes have explicit names, which
``DuplicateKey.index`` carries. A validator says what would break the program if it were otherwise,
and leaves further fields free. Filters of partial indexes use equality, ``$type`` and ``$gt`` only,
which both servers keep (tests/contract/test_schema.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.account import TokenStatus
from core.domain.identifiers import BROKER_ID
from core.domain.mode import TradingMode
from core.domain.order import OrderState, Purpose, Side

__all__ = ["COLLECTIONS", "Collection", "Index", "collection", "index", "validator"]

_DAY_S = 24 * 60 * 60
_KEEP_DAYS = 8  # longer than the longest holiday gap, so that nothing from before it is taken twice


@dataclass(frozen=True, slots=True)
class Index:
    """One index.

    Attributes:
        keys: (field, 1 or -1), in order.
        where: Equalities, ``$type`` and ``$gt`` that a document must meet to be in the index.
        keep_s: Seconds after the (single, date) field's time at which a document goes.
        was: An earlier ``where`` that holds the same documents; a store that is slow to build
            indexes may keep it.
        is_of_lists: The field holds a list; a document is found by each value in it.
    """

    name: str
    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    where: Mapping[str, Any] | None = None
    keep_s: int | None = None
    was: Mapping[str, Any] | None = None
    is_of_lists: bool = False

    def specification(self) -> dict[str, Any]:
        """Return what ``createIndexes`` takes."""
        found: dict[str, Any] = {"name": self.name, "key": dict(self.keys)}
        if self.unique:
            found["unique"] = True
        if self.where is not None:
            found["partialFilterExpression"] = dict(self.where)
        if self.keep_s is not None:
            found["expireAfterSeconds"] = self.keep_s
        return found


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection.

    Attributes:
        rules: A ``$jsonSchema``, or None.
        found_by: Fields by which documents are looked up in the writer's memory alone, which holds
            all of them: an index at the server would cost each write and serve nobody.
    """

    name: str
    indexes: tuple[Index, ...] = ()
    rules: Mapping[str, Any] | None = None
    found_by: tuple[str, ...] = ()


def index(
    *fields: str,
    unique: bool = False,
    where: Mapping[str, Any] | None = None,
    keep_days: int | None = None,
    name: str | None = None,
    was: Mapping[str, Any] | None = None,
    is_of_lists: bool = False,
) -> Index:
    """Return an ascending index on ``fields``, named after them unless ``name`` is given."""
    return Index(
        name or "_".join(fields),
        tuple((field, 1) for field in fields),
        unique=unique,
        where=where,
        keep_s=None if keep_days is None else keep_days * _DAY_S,
        was=was,
        is_of_lists=is_of_lists,
    )


def collection(
    name: str,
    *indexes: Index,
    rules: Mapping[str, Any] | None = None,
    found_by: tuple[str, ...] = (),
) -> Collection:
    """Return a collection with its indexes and validator."""
    return Collection(name, indexes, rules, found_by)


def validator(properties: Mapping[str, Any], *, required: Sequence[str]) -> dict[str, Any]:
    """Return a ``$jsonSchema`` of an object with these properties and a string ``_id``."""
    return {
        "bsonType": "object",
        "required": ["_id", *required],
        "properties": {"_id": {"bsonType": "string"}, **properties},
    }


_STRING = {"bsonType": "string"}
_BOOL = {"bsonType": "bool"}
_DATE = {"bsonType": "date"}
_STRING_OR_NULL = {"bsonType": ["string", "null"]}
_DATE_OR_NULL = {"bsonType": ["date", "null"]}
_WHOLE = {"bsonType": ["int", "long"]}
_BROKER_ID = {"bsonType": "string", "pattern": BROKER_ID.pattern}
_MODE = {"enum": [mode.value for mode in TradingMode]}

_ACCOUNT = validator(
    {
        "broker_id": _BROKER_ID,
        "broker_type": {"bsonType": "string", "pattern": "^[a-z][a-z0-9]*$"},
        "display_name": {"bsonType": "string", "minLength": 1, "maxLength": 40},
        "display_key": _STRING,  # lower-cased display name: unique among live accounts
        "live": _BOOL,  # false once disconnected
        "is_default": _BOOL,
        "enabled": _BOOL,
        "trading_mode": _MODE,
        "api_key": _STRING_OR_NULL,
        "api_secret": _STRING_OR_NULL,  # sealed
        "access_token": _STRING_OR_NULL,  # sealed
        "token_generated_at": _DATE_OR_NULL,
        "token_status": {"enum": [status.value for status in TokenStatus]},
        "created_at": _DATE,
        "last_run_at": _DATE_OR_NULL,
        "disconnected_at": _DATE_OR_NULL,
        "user_id": _STRING_OR_NULL,
    },
    required=(
        "broker_id",
        "broker_type",
        "display_name",
        "is_default",
        "enabled",
        "trading_mode",
        "token_status",
        "created_at",
    ),
)

_GATE = validator(
    {
        "mode": _MODE,  # effective: the stricter of the next two
        "account_mode": _MODE,
        "global_mode": _MODE,
        "enabled": _BOOL,
        "drain": _BOOL,
        "fence": _WHOLE,
        "seq": _WHOLE,
        "version": _WHOLE,
    },
    required=("mode", "fence", "seq"),
)

_ORDER = validator(
    {
        "broker_id": _STRING,
        "state": {"enum": [state.value for state in OrderState]},
        "side": {"enum": [side.value for side in Side]},
        "purpose": {"enum": [purpose.value for purpose in Purpose]},
        "quantity": {**_WHOLE, "minimum": 1},
        "broker_order_id": _STRING_OR_NULL,
    },
    required=("broker_id", "state", "side", "purpose", "quantity"),
)

_PAST = validator(
    {"broker_id": _STRING, "day": _STRING},
    required=("broker_id", "day", "ids", "runs", "orders", "trades"),
)

_LIMITS = validator(
    {
        "version": _WHOLE,
        "seq": _WHOLE,
        "changed_at": _DATE,
        "changed_by": _STRING,
    },
    required=(),
)

_LIMIT_CHANGE = validator(
    {
        "scope": _STRING,
        "version": _WHOLE,
        "what": _STRING,
        "old": _STRING,
        "new": _STRING,
        "at": _DATE,
        "by": _STRING,
    },
    required=("scope", "version", "what", "at", "by"),
)

COLLECTIONS: tuple[Collection, ...] = (
    # -- accounts ------------------------------------------------------------
    collection(  # _id: broker_id
        "broker_accounts",
        index("broker_id", unique=True),
        index("is_default", unique=True, where={"is_default": True}),
        index("display_key", unique=True, where={"live": True}),
        index(
            "broker_type",
            "api_key",
            "user_id",
            unique=True,
            where={"live": True, "user_id": {"$type": "string"}},
        ),
        rules=_ACCOUNT,
    ),
    collection("account_gates", rules=_GATE),  # _id: broker_id
    # -- the journal ---------------------------------------------------------
    collection("runs", index("strategy", "slot_at")),  # _id: strategy|slot
    collection("run_requests", index("state", "filed_at")),  # _id: run id
    collection(  # _id: client_order_id
        "orders",
        index("broker_id", "state"),
        index(
            "broker_id",
            "broker_order_id",
            unique=True,
            # Not {"$type": "string"}: mongod would not use the index to look an id up.
            where={"broker_order_id": {"$gt": ""}},
            was={"broker_order_id": {"$type": "string"}},
        ),
        index("run_id"),
        index("day", "broker_id", "instrument"),
        rules=_ORDER,
    ),
    collection("order_events"),  # _id: client_order_id#n
    collection("fills", index("broker_id", "day")),  # _id: broker_id|trade key
    collection(  # _id: broker_id|day|client_order_id of its first
        "past_orders",
        index("broker_id", "day"),
        index("ids", is_of_lists=True),
        index("runs", is_of_lists=True),
        rules=_PAST,
    ),
    collection("past_steps", index("broker_id", "at")),  # _id: as past_orders
    collection("ledgers", found_by=("broker_id",)),  # _id: strategy|broker_id|instrument|product
    collection("goals", found_by=("broker_id",)),  # _id: as ledgers
    collection("guards", found_by=("broker_id",)),  # _id: as ledgers
    collection("alarms", found_by=("broker_id",)),  # _id: the key of its card
    collection("result_guards"),  # _id: scope, as GuardScope.key
    collection("shut_days", index("at", keep_days=_KEEP_DAYS, name="expiry")),  # _id: scope|day
    collection("limits", rules=_LIMITS),  # _id: broker_id, or all
    collection("limit_changes", index("scope", "version"), rules=_LIMIT_CHANGE),  # scope#version
    collection("baselines", index("broker_id", "day"), index("day")),  # _id: broker_id|day
    collection("strategies"),  # _id: name
    collection("assignments", index("broker_id")),  # _id: strategy|broker_id
    collection("day_figures"),  # _id: broker_id|day
    collection("panics"),  # _id: a number
    collection(  # _id: strategy|day|minutes|instrument
        "pinned_bars", index("at", keep_days=_KEEP_DAYS, name="expiry")
    ),
    # -- paper accounts, owned by core/adapters/paper ------------------------
    collection("paper_books"),  # _id: broker_id
    collection("paper_orders", index("broker_id")),  # _id: broker_id|order id
    # -- the chat ------------------------------------------------------------
    collection("outbox", index("chat_id", "state", "seq"), index("state", "seq")),
    collection("cards"),
    collection("bare_cards"),  # _id: as cards
    collection("chats"),  # _id: chat id
    collection("users"),  # _id: user id
    collection(  # _id: bot_id:update_id
        "inbox",
        index("state", "received_at"),
        index("received_at", keep_days=_KEEP_DAYS, name="expiry"),
    ),
    collection("prompts"),  # _id: chat_id:user_id
    collection(  # kept past their end, so that an old button is answered politely
        "nonces", index("chat_id"), index("expires_at", keep_days=7, name="expiry")
    ),
    # -- logins --------------------------------------------------------------
    collection(  # _id: nonce
        "logins",
        index("broker_id", "state"),
        index("state", "created_at"),
        index("created_at", keep_days=_KEEP_DAYS, name="expiry"),
    ),
    collection("login_links", index("broker_id")),
    # -- the controller ------------------------------------------------------
    collection("lease"),
    collection("settings"),
    collection("alerts", index("state")),
    collection(  # _id: nonce of a transaction
        "commits", index("at", keep_days=_KEEP_DAYS, name="expiry")
    ),
)
