"""What lived over night, and what no fill explains, by day. Owns the collection ``baselines``.

A document an (account, day), ``_id`` ``broker_id|day``: ``kept`` names the ``product|exchange`` of
which a look of the day was kept; ``units`` is a list of ``instrument``, ``product`` and signed
``units``, none for what is not listed, and ``is_assumed`` where they stand on the ledgers alone;
``disputes`` is a list of ``instrument``, ``product``,
``by_fills`` and ``by_positions``: what the chat was told to disagree. An intraday product needs no
look, for it begins the day flat; only a conversion or a user's word gives it units here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from core.domain.instrument import InstrumentId, Product
from core.domain.truth import FirstLook, Key
from core.ports.store import Change, Document, StoreView

__all__ = ["Baseline", "Dispute", "baseline_at", "baselines_of", "put_baseline"]

_BASELINES = "baselines"


@dataclass(frozen=True, slots=True)
class Dispute:
    """Positions that contradict the fills, as the chat was told."""

    by_fills: int
    by_positions: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an account had before the day's first fill.

    Attributes:
        kept: The exchanges of which it is known, each with the products.
        units: Signed units; 0 where a key is not named.
        disputes: What was reported as disputed and is so still.
        assumed: Where ``units`` are what strategies owned, and the look at them showed less: the
            day's fills, which are added to them, prove nothing there.
    """

    broker_id: str
    day: str
    kept: frozenset[str] = frozenset()
    units: Mapping[Key, int] = field(default_factory=dict)
    disputes: Mapping[Key, Dispute] = field(default_factory=dict)
    assumed: frozenset[Key] = frozenset()

    def is_kept(self, key: Key) -> bool:
        """Whether it is known what lived over night of this key."""
        return key[1] is Product.MIS or _place(key) in self.kept

    def of(self, key: Key) -> int | None:
        """Return what lived over night; None while that is not known."""
        return self.units.get(key, 0) if self.is_kept(key) else None

    def moved(self, key: Key, units: int) -> Baseline:
        """Return it with units added that no fill of today explains."""
        after = {**self.units, key: self.units.get(key, 0) + units}
        return replace(self, units=after, assumed=self.assumed - {key})

    def proved(self, keys: Collection[Key]) -> Baseline:
        """Return it with the units of these keys shown by the positions after all."""
        return replace(self, assumed=self.assumed - set(keys))

    def disputed(self, key: Key, dispute: Dispute | None) -> Baseline:
        """Return it with a dispute noted, or its end."""
        others = {place: one for place, one in self.disputes.items() if place != key}
        return replace(self, disputes=others if dispute is None else {**others, key: dispute})

    def with_look(self, exchange: str, product: Product, look: FirstLook) -> Baseline:
        """Return it with a look of the day at one product on one exchange."""
        place, units = f"{product.value}|{exchange}", look.before(exchange, product)
        return replace(
            self,
            kept=self.kept | {place},
            units={**self.units, **units},
            assumed=self.assumed | look.contradicted(units),
        )


def _place(key: Key) -> str:
    return f"{key[1].value}|{key[0].exchange}"


async def baseline_at(view: StoreView, broker_id: str, day: str) -> Baseline:
    """Return an account's baseline of a day."""
    row = await view.get(_BASELINES, f"{broker_id}|{day}")
    return Baseline(broker_id, day) if row is None else _baseline(row)


async def baselines_of(view: StoreView, broker_id: str | None, day: str) -> list[Baseline]:
    """Return the baselines of a day: of one account, or with None those of all."""
    if broker_id is not None:
        return [await baseline_at(view, broker_id, day)]
    return [_baseline(row) for row in await view.find(_BASELINES, {"day": day})]


def _baseline(row: Document) -> Baseline:
    return Baseline(
        row["broker_id"],
        row["day"],
        frozenset(row["kept"]),
        {_key(one): one["units"] for one in row["units"]},
        {_key(one): Dispute(one["by_fills"], one["by_positions"]) for one in row["disputes"]},
        frozenset(_key(one) for one in row["units"] if one.get("is_assumed")),
    )


async def put_baseline(view: StoreView, baseline: Baseline) -> None:
    """Write a baseline as it stands now."""
    fields = {
        "broker_id": baseline.broker_id,
        "day": baseline.day,
        "kept": sorted(baseline.kept),
        "units": [
            {**_fields(key), "units": units, "is_assumed": key in baseline.assumed}
            for key, units in sorted(baseline.units.items())
            if units
        ],
        "disputes": [
            {**_fields(key), "by_fills": one.by_fills, "by_positions": one.by_positions}
            for key, one in sorted(baseline.disputes.items())
        ],
    }
    key = f"{baseline.broker_id}|{baseline.day}"
    await view.update(_BASELINES, {"_id": key}, Change(set=fields), upsert=True)


def _key(row: Document) -> Key:
    return InstrumentId.parse(row["instrument"]), Product(row["product"])


def _fields(key: Key) -> Document:
    return {"instrument": str(key[0]), "product": key[1].value}
