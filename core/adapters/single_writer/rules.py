"""Which documents the writer's memory holds: whole collections, parts of them, or none.

What grows with the journal is held in parts. A *cover* names equal fields; once all documents with
given values of these fields were read, every question that names these values is answered from
memory. The fields of a cover are the beginning of an index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from core.adapters.mongo.schema import COLLECTIONS
from core.domain.notices.post import Delivery
from core.domain.order import CLOSED_STATES, OrderState

__all__ = ["FOREIGN", "RECENT", "WHOLE", "Cover", "Newest", "Rule", "rule_of"]


RECENT = timedelta(days=5)
"""What was yesterday, before a long weekend too; not more trading days than stay of a cover."""


@dataclass(frozen=True, slots=True)
class Cover:
    """One way in which a part of a collection is held.

    Attributes:
        fields: Equal in all documents of the part.
        only: Values of the last field for which a part is held; None for any. Such parts are read
            at the start and stay; of others at most ``most`` stay.
        of_each: The collection whose ids are the values of the first of two fields.
        is_recent: A part of a ``day`` long ago is not held: of it the store is asked for what is
            wanted, and not for what it has of all accounts.
    """

    fields: tuple[str, ...]
    only: frozenset[str] | None = None
    most: int = 4
    of_each: str = ""
    is_recent: bool = False


@dataclass(frozen=True, slots=True)
class Newest:
    """New documents of which, in one commit, the newest stands for all that are like it.

    Attributes:
        fields: Equal in documents that are alike.
        only: What a document has to be: the values that a field may have.
    """

    fields: tuple[str, ...]
    only: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a collection is held.

    Attributes:
        is_whole: All of it.
        covers: Parts of it.
        is_foreign: Nothing of it is believed from memory, as where other processes write it too.
        is_aside: Single writes of it go to the store at once and not with a group: nothing that is
            committed depends on them, and who taps does not wait for fifty accounts' commit.
        is_own: A document of it is one account's, and written by its transactions alone.
        newest: What makes a new document needless when a newer one is committed with it.
        asked: Fields that are asked for together, where a first read may bring many documents.
        counter: A field that is raised only so that two transactions that both read a document
            collide. Bodies that run over memory do so there; the server has to see it only where
            another process could write unseen.
    """

    is_whole: bool = False
    covers: tuple[Cover, ...] = ()
    is_foreign: bool = False
    is_aside: bool = False
    is_own: bool = False
    newest: Newest | None = None
    asked: tuple[tuple[str, ...], ...] = ()
    counter: str = ""


WHOLE = Rule(is_whole=True)
FOREIGN = Rule(is_foreign=True)
_ASIDE = Rule(is_foreign=True, is_aside=True)
_BY_ID = Rule()
_OPEN_ORDERS = frozenset(state.value for state in OrderState if state not in CLOSED_STATES)

_RULES: Mapping[str, Rule] = {
    "orders": Rule(
        covers=(
            Cover(("day",), is_recent=True),
            Cover(("broker_id", "state"), _OPEN_ORDERS, of_each="broker_accounts"),
            Cover(("run_id",), most=512),
        ),
        asked=(
            ("day",),
            ("day", "broker_id"),
            ("broker_id", "day"),
            ("broker_id", "instrument", "day"),
            ("broker_id",),
            ("state",),
            ("run_id",),
        ),
    ),
    "fills": Rule(covers=(Cover(("broker_id", "day"), most=1024, is_recent=True),)),
    "baselines": Rule(covers=(Cover(("day",)), Cover(("broker_id", "day"), most=1024))),
    "account_gates": Rule(is_whole=True, is_own=True, counter="seq"),
    "outbox": Rule(
        covers=(Cover(("state",), frozenset({"WAITING", "SENDING", "DEAD"})),),
        # A card shows the present: of fifty accounts' edits that become visible in one moment the
        # sender would deliver the last alone, and mark the others as needless.
        newest=Newest(
            # An AMEND stands for no EDIT: that comes as a message where there is none to edit.
            ("chat_id", "key", "delivery"),
            {
                "state": frozenset({"WAITING"}),
                "delivery": frozenset({Delivery.EDIT.value, Delivery.AMEND.value}),
            },
        ),
    ),
    "inbox": _ASIDE,
    "order_events": _BY_ID,
    # Written once and seldom read: nothing of them is worth memory.
    "past_orders": FOREIGN,
    "past_steps": FOREIGN,
    "runs": _BY_ID,
    "cards": _BY_ID,
    "nonces": _BY_ID,
    "day_figures": _BY_ID,
    "pinned_bars": _BY_ID,
    "limit_changes": Rule(covers=(Cover(("scope",), most=512),)),
    # `saarthi live` files runs while another process holds the lease.
    "run_requests": FOREIGN,
    "lease": FOREIGN,
    "commits": FOREIGN,
}


def rule_of(collection: str) -> Rule:
    """Return how a collection is held; one that the schema does not know is not."""
    known = {one.name for one in COLLECTIONS}
    return _RULES.get(collection, WHOLE if collection in known else FOREIGN)
