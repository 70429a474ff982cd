"""MongoDB finds each query of the program by an index, as it says itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.store import MongoStore
from tests.architecture.queries import Query
from tests.architecture.test_queries import NARROWED, SMALL, queries
from tests.contract.conftest import PATIENT

RANGE = {"$gt": "2026-01-01"}
WHOLE = "[MinKey, MaxKey]"


def stages(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return the stages of a plan, the last first."""
    yield plan
    for below in [plan.get("inputStage"), *plan.get("inputStages", [])]:
        if below:
            yield from stages(below)


async def left_over(store: MongoStore, query: Query) -> set[str]:
    """Return by which fields of a query no index leads the server on; all, when it scans."""
    where = {**dict.fromkeys(query.equal, "x"), **dict.fromkeys(query.ranges, RANGE)}
    find = {"find": query.collection, "filter": where}
    reply = await store.command({"explain": find, "verbosity": "queryPlanner"})
    planner = reply["queryPlanner"]
    found = []
    # An empty collection says nothing of which plan is the best one: any of them may be.
    for plan in [planner["winningPlan"], *planner["rejectedPlans"]]:
        bounds = [one["indexBounds"] for one in stages(plan) if "indexBounds" in one]
        led = {name for one in bounds for name, [at, *_] in one.items() if at != WHOLE}
        found.append({name for name in where if name not in led})
    return min(found, key=len)


async def test_mongod_uses_an_index_for_each_query(mongod_store_uri: str) -> None:
    """No query of the program is a scan of a collection that grows."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    async with await MongoStore.connect(mongod_store_uri, name, PATIENT) as store:
        await migrate(store)
        asked = {(one.collection, one.equal, one.ranges): one for one in queries()}
        found = {
            one.place: left - {field for where, field in NARROWED if where == one.collection}
            for one in asked.values()
            if one.collection not in SMALL and "_id" not in one.equal
            if (left := await left_over(store, one))
        }
        await store.command({"dropDatabase": 1})
    assert {place: fields for place, fields in found.items() if fields} == {}
