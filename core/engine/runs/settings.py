"""Strategy settings: owns ``strategies`` and ``assignments`` (product.md D4, D6).

``strategies`` (``_id`` is the name): ``enabled``, ``parameters`` (texts), ``last_slot_at`` (market
time of the newest slot handled; enabling a strategy sets it to now, so that no old slot fires),
``schedule_since`` (market time from which its schedule is the present one: no slot before counts),
``strikes`` (how many decisions in a row had to be ended, ``core.engine.runs.strikes``),
``tells_next_run`` (its next slot gets a card, whatever comes of it: somebody waits for the first).
``assignments`` (``strategy|broker_id``): ``on``, ``product``, ``size_kind``, ``size_value``,
``multiplier``; a pair without a document has the defaults: on, the strategy's product, one unit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from core.domain.account import Account
from core.domain.command import Command
from core.domain.due import changed_since
from core.domain.instrument import InstrumentId, Product, why_not_handled
from core.domain.target import ParameterValue, Strategy, checked_parameters, declares_short
from core.domain.typed_instruments import read_instruments
from core.domain.views import AssignmentView, SizeKind
from core.engine.accounts.accounts import Accounts
from core.engine.orders.gate import touch_gate
from core.engine.orders.goals import goals_of, trim_goal
from core.engine.orders.ledgers import ledger_at, ledgers_of
from core.engine.runs.symbols import Symbols
from core.errors import NotFound, UserError
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView

__all__ = ["StrategySettings", "add_strike", "end_strikes", "is_assigned"]

_STRATEGIES = "strategies"
_ASSIGNMENTS = "assignments"
_INSTRUMENTS = "instruments"
"""The parameter of every strategy that lists what it trades."""
_LIMITS = {
    SizeKind.QUANTITY: (Decimal(1), Decimal(1_000_000), "units"),
    SizeKind.CAPITAL_SHARE: (Decimal("0.1"), Decimal(100), "percent of capital"),
}
_MULTIPLIER = (Decimal("0.01"), Decimal(100))


async def _drop_entries(view: StoreView, name: str, broker_id: str) -> None:
    """Want no more than what a strategy holds on an account, so that what still enters is ended."""
    for goal in await goals_of(view, broker_id):
        if goal.strategy != name or not goal.quantity:
            continue
        ledger = await ledger_at(view, goal.key)
        held = ledger.quantity if ledger else 0
        kept = held if held * goal.quantity > 0 else 0
        if abs(kept) < abs(goal.quantity):
            await trim_goal(view, goal.key, kept)


async def is_assigned(view: StoreView, strategy: str, broker_id: str) -> bool:
    """Whether a strategy is switched on for an account; on unless a user switched it off (D4)."""
    row = await view.get(_ASSIGNMENTS, f"{strategy}|{broker_id}")
    return row is None or bool(row.get("on", True))


async def add_strike(view: StoreView, name: str, limit: int) -> bool:
    """Count a strike; return whether that disables the strategy, which it does from a number on."""
    row = await view.get(_STRATEGIES, name) or {}
    strikes = int(row.get("strikes", 0)) + 1
    is_disabled = strikes >= limit and bool(row.get("enabled"))
    off = {"enabled": False} if is_disabled else {}
    initial = {"parameters": {}, **({} if is_disabled else {"enabled": False})}
    change = Change(set={"strikes": strikes, **off}, set_on_insert=initial)
    await view.update(_STRATEGIES, {"_id": name}, change, upsert=True)
    return is_disabled


async def end_strikes(view: StoreView, name: str) -> None:
    """Forget the strikes of a strategy."""
    row = await view.get(_STRATEGIES, name)
    if row and row.get("strikes"):
        await view.update(_STRATEGIES, {"_id": name}, Change(set={"strikes": 0}))


class StrategySettings:
    """Reads and changes strategy settings.

    Attributes:
        registry: The strategies by name.
        switched: Set whenever one was enabled or disabled.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        registry: Mapping[str, Strategy],
        symbols: Symbols,
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._symbols = symbols
        self.registry = registry
        self.switched = asyncio.Event()

    def strategy(self, name: str) -> Strategy:
        """Return a strategy by name; raises ``NotFound``."""
        try:
            return self.registry[name]
        except KeyError:
            known = ", ".join(self.registry)
            raise NotFound(f"Found the strategy {name!r}; expected one of {known}.") from None

    async def row(self, name: str) -> Document:
        """Return a strategy's stored settings, or the defaults of one never touched."""
        self.strategy(name)
        row = await self._store.get(_STRATEGIES, name)
        return row or {"_id": name, "enabled": False, "parameters": {}, "last_slot_at": None}

    async def enabled(self) -> list[str]:
        """Return the strategies that run by their schedules."""
        return [name for name in self.registry if (await self.row(name))["enabled"]]

    async def parameters(self, name: str) -> dict[str, ParameterValue]:
        """Return checked parameter values."""
        return checked_parameters(self.strategy(name), (await self.row(name))["parameters"])

    async def instruments(self, name: str) -> tuple[InstrumentId, ...]:
        """Return what an enabled strategy trades; nothing of one that is not enabled."""
        if not (await self.row(name))["enabled"]:
            return ()
        return self.strategy(name).instruments(await self.parameters(name))

    async def set_enabled(
        self, command: Command, name: str, *, enabled: bool, tells_first_run: bool = False
    ) -> None:
        """Enable or disable scheduled runs; enabling starts with the next slot.

        Args:
            command: What the user did.
            name: The strategy.
            enabled: Whether its slots are run from now on.
            tells_first_run: The first of them gets a card even without a signal.
        """
        self.strategy(name)
        fields: dict[str, object] = {"enabled": enabled, "tells_next_run": tells_first_run}
        if enabled:
            fields.update(last_slot_at=self._clock.market_now(), strikes=0)

        async def body(view: StoreView) -> None:
            await view.update(
                _STRATEGIES,
                {"_id": name},
                Change(set=fields, set_on_insert={"parameters": {}}),
                upsert=True,
            )

        await self._store.transaction(body, nonce=f"strategy:{command.id}")
        self.switched.set()

    async def set_parameter(self, command: Command, name: str, parameter: str, text: str) -> None:
        """Change one parameter; raises ``UserError`` when it, or what follows from it, is wrong."""
        strategy = self.strategy(name)
        checked = await self._checked(strategy, parameter, text)
        fields: dict[str, object] = {f"parameters.{parameter}": str(checked[parameter])}
        fields |= await self._schedule_fields(strategy, checked)

        async def body(view: StoreView) -> None:
            await view.update(
                _STRATEGIES,
                {"_id": name},
                Change(
                    set=fields,
                    set_on_insert={"enabled": False, "last_slot_at": None},
                ),
                upsert=True,
            )

        await self._store.transaction(body, nonce=f"parameter:{command.id}")

    async def _schedule_fields(
        self, strategy: Strategy, values: Mapping[str, ParameterValue]
    ) -> dict[str, object]:
        """Return what is noted when other values change when a strategy runs (D2)."""
        row = await self.row(strategy.name)
        try:
            old = strategy.schedule(await self.parameters(strategy.name))
        except UserError:
            old = None
        if old == strategy.schedule(values):
            return {}
        now = self._clock.market_now()
        handled = row.get("last_slot_at")
        since = now if old is None else changed_since(old, now=now, handled=handled)
        return {"schedule_since": since}

    async def dropped(self, name: str, parameter: str, text: str) -> frozenset[InstrumentId]:
        """Return what a strategy would not trade any more with another value of a parameter.

        Raises:
            UserError: The value is wrong.
        """
        strategy = self.strategy(name)
        checked = await self._checked(strategy, parameter, text)
        return frozenset(await self._chosen_before(strategy) - set(strategy.instruments(checked)))

    async def _checked(
        self, strategy: Strategy, parameter: str, text: str
    ) -> dict[str, ParameterValue]:
        """Return all parameters with one changed, as far as that may be."""
        value = ",".join(read_instruments(text)) if parameter == _INSTRUMENTS else text.strip()
        given = {**(await self.row(strategy.name))["parameters"], parameter: value}
        checked = checked_parameters(strategy, given)
        strategy.schedule(checked)
        chosen = set(strategy.instruments(checked)) - await self._chosen_before(strategy)
        for reason in filter(None, map(why_not_handled, sorted(chosen))):
            raise UserError(f"{reason[:1].upper()}{reason[1:]}.")
        await self._symbols.refuse(chosen)
        if parameter == "side" and declares_short(checked):
            await self._refuse_short_in_delivery(strategy)
        return checked

    async def _chosen_before(self, strategy: Strategy) -> set[InstrumentId]:
        """What is chosen already is not looked up: other parameters can be changed beside it."""
        try:
            return set(strategy.instruments(await self.parameters(strategy.name)))
        except UserError:
            return set()

    async def mark_slot(self, name: str, slot_at: datetime) -> None:
        """Note the newest slot that was handled."""
        handled = Change(set={"last_slot_at": slot_at, "tells_next_run": False})
        await self._store.update(_STRATEGIES, {"_id": name}, handled, upsert=True)

    async def assignment(self, name: str, account: Account) -> AssignmentView:
        """Return how a strategy runs on an account."""
        (found,) = await self.assignments(name, [account])
        return found

    async def assignments(self, name: str, accounts: Sequence[Account]) -> list[AssignmentView]:
        """Return how a strategy runs on accounts, in their order."""
        keys = [f"{name}|{account.broker_id}" for account in accounts]
        found = await self._store.find(_ASSIGNMENTS, {"_id": {"$in": keys}})
        rows = {row["_id"]: row for row in found}
        return [
            self._assignment(name, account, rows.get(key, {}))
            for key, account in zip(keys, accounts, strict=True)
        ]

    def _assignment(self, name: str, account: Account, row: Document) -> AssignmentView:
        return AssignmentView(
            strategy=name,
            broker_id=account.broker_id,
            account_label=account.label,
            is_on=row.get("on", True),
            product=Product(row.get("product", self.strategy(name).product.value)),
            size_kind=SizeKind(row.get("size_kind", SizeKind.QUANTITY.value)),
            size_value=row.get("size_value", Decimal(1)),
            multiplier=row.get("multiplier", Decimal(1)),
        )

    async def assign(
        self,
        command: Command,
        name: str,
        broker_id: str,
        *,
        is_on: bool | None = None,
        product: Product | None = None,
        size_kind: SizeKind | None = None,
        size_value: Decimal | None = None,
        multiplier: Decimal | None = None,
    ) -> None:
        """Change how a strategy runs on an account; None leaves a field as it is."""
        account = await self._accounts.get(broker_id)
        now = await self.assignment(name, account)
        if product is not None and product is not now.product:
            await self._refuse_while_held(name, account)
        runs = now.is_on if is_on is None else is_on
        if runs and (product or now.product) is Product.CNC and (product or is_on):
            await self._refuse_short_side(name)
        kind = size_kind or now.size_kind
        _check_size(kind, now.size_value if size_value is None else size_value)
        low, high = _MULTIPLIER
        if multiplier is not None and not (multiplier.is_finite() and low <= multiplier <= high):
            raise UserError(f"The multiplier: found {multiplier}; expected {low} to {high}.")
        fields: dict[str, object] = {"strategy": name, "broker_id": account.broker_id}
        changes = {
            "on": is_on,
            "product": product.value if product else None,
            "size_kind": size_kind.value if size_kind else None,
            "size_value": size_value,
            "multiplier": multiplier,
        }
        fields.update({key: value for key, value in changes.items() if value is not None})

        async def body(view: StoreView) -> None:
            key = f"{name}|{account.broker_id}"
            await view.update(_ASSIGNMENTS, {"_id": key}, Change(set=fields), upsert=True)
            if is_on is False:
                await _drop_entries(view, name, account.broker_id)
            # An entry that read "on" must not commit after the user was told "off".
            await touch_gate(view, account.broker_id)

        await self._store.transaction(body, nonce=f"assign:{command.id}")

    async def _refuse_short_in_delivery(self, strategy: Strategy) -> None:
        """A sale in a delivery product would take the user's own shares (R3)."""
        for account in await self._accounts.all():
            one = await self.assignment(strategy.name, account)
            if one.is_on and one.product is Product.CNC:
                raise UserError(
                    f"{strategy.title} runs in CNC on {account.label}, which holds no short "
                    "position; use MIS there first, or leave the side at long."
                )

    async def _refuse_short_side(self, name: str) -> None:
        if declares_short(await self.parameters(name)):
            raise UserError(
                f"{self.strategy(name).title} may sell short, and CNC holds no short position; set "
                "its side to long first, or use MIS."
            )

    async def _refuse_while_held(self, name: str, account: Account) -> None:
        """A ledger belongs to one product: changing it while something is held would orphan it."""
        ledgers = await ledgers_of(self._store, account.broker_id)
        goals = await goals_of(self._store, account.broker_id)
        is_held = any(one.strategy == name and one.quantity for one in ledgers)
        if is_held or any(one.strategy == name and one.quantity for one in goals):
            raise UserError(
                f"{name} holds or enters a position on {account.label}; close it before you "
                "change the product."
            )


def _check_size(kind: SizeKind, value: Decimal) -> None:
    low, high, unit = _LIMITS[kind]
    whole = kind is SizeKind.CAPITAL_SHARE or value == value.to_integral_value()
    if not value.is_finite() or not low <= value <= high or not whole:
        raise UserError(f"The size: found {value}; expected {low} to {high:,} {unit}.")
