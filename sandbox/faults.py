"""Faults on demand: what a broker or a chat service does on a bad day.

``POST /faults`` adds one. It strikes the next ``times`` requests that match (1 by default, 0 or
null means until deleted). Kinds of two sorts:

* Of the transport, struck by ``Faults.middleware`` on any request of the target: ``delay``,
  ``hang``, ``reset_before``, ``reset_after``, ``http``, ``html``, ``malformed``, ``drip``.
* Of the broker, asked for by the broker's application at the place where they matter with
  ``Faults.take``: ``hide``, ``reject_later``, ``partial_fill``, ``no_fill``, ``lose_tag``,
  ``cancel_then_fill``, ``code_201`` (all on order placement), ``not_admitted``, ``other_user`` (on
  the login form), ``stale_reads``, ``empty_reads`` (on reads of orders, trades, positions and
  holdings), ``rate_limited`` (on any request with a live session), ``lose_frames`` (on frames about
  orders; path and ``api_key`` are those of the socket), ``stop_ticks``, ``delay_ticks`` and
  ``stop_frames`` (on frames of ticks; the last on heartbeats too), ``clock_skew`` (on any answer).
  ``take_order_effects`` collects those that travel with an order into the exchange.

Fields of a fault: ``target``, ``kind``, ``match`` (``method``, ``path`` and any attribute that the
application's ``identify`` gives, as ``api_key``, ``user_id``, ``tag`` or ``chat_id``; a list
matches when one of its values does), ``times``, ``lasts_s`` (the fault ends that many real seconds
after it was set), ``delay_s``, and

* ``effect`` (transport kinds): does the request take effect? Default false for ``hang``,
  ``reset_before``, ``http``, ``html``; true for ``reset_after``, ``malformed``, ``drip``. A
  ``delay`` waits first and then acts as usual; with ``effect: true`` it acts first.
* ``effect_delay_s``: with ``effect``, the effect comes that much later, in the background.
* ``http``: ``status`` (500), ``headers``, ``body`` (object: JSON; text as it is), ``size`` (pads
  a text body), ``gzip`` (compresses it). ``html``: ``status`` (502).
* ``drip``: ``delay_s`` between two bytes (0.5). ``hang``: ends after ``delay_s`` (an hour).
* ``partial_fill``: ``quantity`` (half by default). With ``delay_s`` the rest of ``partial_fill``
  and all of ``no_fill`` fill after that time. ``reject_later``: ``message``, ``delay_s`` (0.3).
* ``cancel_then_fill``: once cancelled, the order fills after all, ``delay_s`` (0.5) later.
* ``other_user``: ``user_id`` (another user of the broker by default).
* ``stale_reads``: the answer is the state of ``delay_s`` real seconds ago (at most 900); without
  ``delay_s`` that of the moment at which the fault was set. ``empty_reads``: a good answer without
  a single row.
* ``rate_limited``: the broker's own 429 until the fault ends, with the seconds that are left where
  the broker names them; without ``lasts_s`` one second is named.
* ``stop_ticks``, ``stop_frames``: each frame counts, so ``times`` is usually 0. ``delay_ticks``:
  a frame is sent ``delay_s`` (2) later, as it was.
* ``clock_skew``: ``skew_s``, by which the answer's ``Date`` header is ahead of the market clock.

A path matches when it is equal, a leading or a trailing run of whole segments (``/orders`` matches
``/orders/regular``, ``/sendMessage`` matches ``/bot1:x/sendMessage``), or a glob with ``*``.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from sandbox.clock import http_date, real_now
from sandbox.fault_transport import Fault, TransportFaults
from sandbox.simulators import simulators
from sandbox.state import State

__all__ = ["BROKER_KINDS", "TRANSPORT_KINDS", "Effects", "Fault", "FaultError", "Faults"]

TRANSPORT_KINDS = frozenset(
    {"delay", "hang", "reset_before", "reset_after", "http", "html", "malformed", "drip"}
)
ORDER_KINDS = frozenset(
    {"hide", "reject_later", "partial_fill", "no_fill", "lose_tag", "cancel_then_fill"}
)
READ_KINDS = frozenset({"stale_reads", "empty_reads"})
SKEW, RATE_LIMITED = "clock_skew", "rate_limited"
STREAM_KINDS = frozenset({"lose_frames"})
TICK_KINDS = frozenset({"stop_ticks", "delay_ticks", "stop_frames"})
BROKER_KINDS = (
    ORDER_KINDS
    | READ_KINDS
    | STREAM_KINDS
    | TICK_KINDS
    | {SKEW, RATE_LIMITED, "code_201", "not_admitted", "other_user"}
)
_NUMBERS = ("delay_s", "effect_delay_s", "lasts_s", "skew_s")
_HEALTH = "/_sandbox/"


class FaultError(ValueError):
    """A fault that cannot be set; the message says what is wrong."""


@dataclass(frozen=True)
class Effects:
    """What an order carries into the exchange.

    Attributes:
        hide_s: Real seconds for which the day's orders do not show it.
        reject_after_s: Real seconds after which it is rejected although accepted; None: not.
        reject_message: The reason given then.
        fill_cap: No more than this fills (0: nothing) ...
        cap_s: ... for this many real seconds; None: for ever.
        lose_tag: The broker forgets the tag.
        late_fill_s: Real seconds after a cancellation at which it fills nevertheless; None: not.
    """

    hide_s: float = 0.0
    reject_after_s: float | None = None
    reject_message: str | None = None
    fill_cap: int | None = None
    cap_s: float | None = None
    lose_tag: bool = False
    late_fill_s: float | None = None


def _path_matches(pattern: str, path: str) -> bool:
    if "*" in pattern:
        return fnmatchcase(path, pattern)
    trimmed = "/" + pattern.strip("/")
    return (
        path in {pattern, trimmed}
        or trimmed == "/"
        or path.startswith(trimmed + "/")
        or path.endswith(trimmed)
    )


def _matches(match: Mapping[str, Any], request: web.Request, known: Mapping[str, str]) -> bool:
    for name, wanted in match.items():
        if wanted is None:
            continue
        values = wanted if isinstance(wanted, list) else [wanted]
        if not any(_fits(name, str(value), request, known) for value in values):
            return False
    return True


def _fits(name: str, wanted: str, request: web.Request, known: Mapping[str, str]) -> bool:
    if name == "method":
        return request.method == wanted.upper()
    if name == "path":
        return _path_matches(wanted, request.path)
    return known.get(name) == wanted


class Faults:
    """The faults that are set, kept in the sandbox's state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._faults = {key: Fault(**value) for key, value in state.group("fault").items()}
        self._count = int(state.get("counter", "fault") or 0)
        self._transport = TransportFaults()

    def add(self, spec: Mapping[str, Any]) -> Fault:
        """Set a fault from the JSON of ``POST /faults``.

        Raises:
            FaultError: Unknown target or kind, or a field of the wrong type.
        """
        return self.add_all([spec])[0]

    def add_all(self, specs: Collection[Any]) -> list[Fault]:
        """Set several faults, or none when one of them is wrong.

        Raises:
            FaultError: Unknown target or kind, or a field of the wrong type.
        """
        made = [self._read(spec) for spec in specs]
        for fault in made:
            self._count += 1
            fault.id = f"f{self._count}"
            self._faults[fault.id] = fault
            self._state.put("fault", fault.id, asdict(fault))
        self._state.put("counter", "fault", self._count)
        return made

    @staticmethod
    def _read(spec: Any) -> Fault:
        if not isinstance(spec, dict):
            raise FaultError("a fault must be an object")
        rest = dict(spec)
        target, kind = rest.pop("target", None), rest.pop("kind", None)
        match, times = rest.pop("match", None) or {}, rest.pop("times", 1)
        if target not in simulators():
            raise FaultError(f"target must be one of {sorted(simulators())}")
        if kind not in TRANSPORT_KINDS | BROKER_KINDS:
            raise FaultError(f"kind must be one of {sorted(TRANSPORT_KINDS | BROKER_KINDS)}")
        if not isinstance(match, dict):
            raise FaultError("match must be an object")
        if times is not None and (not isinstance(times, int) or times < 0):
            raise FaultError("times must be a whole number, 0 or null for ever")
        for name in _NUMBERS:
            if not isinstance(rest.get(name, 0), int | float | None):
                raise FaultError(f"{name} must be a number of seconds")
        return Fault("", target, kind, match, times or None, rest, real_now())

    def remove(self, fault_id: str | None = None) -> int:
        """Delete a fault, or all of them, and return how many went."""
        gone = [key for key in self._faults if fault_id in {None, key}]
        for key in gone:
            del self._faults[key]
            self._state.put("fault", key, None)
        return len(gone)

    def all(self) -> list[dict[str, Any]]:
        """Return the faults that still strike, as JSON."""
        self._end_old()
        return [asdict(fault) for fault in self._faults.values()]

    def _end_old(self) -> None:
        now = real_now()
        for fault in [item for item in self._faults.values() if item.ends_real <= now]:
            self.remove(fault.id)

    def take(
        self,
        target: str,
        kinds: Collection[str],
        request: web.Request,
        known: Mapping[str, str] | None = None,
    ) -> Fault | None:
        """Return the oldest matching fault of some kinds and count it as struck, or None."""
        self._end_old()
        for fault in self._faults.values():
            if fault.target != target or fault.kind not in kinds:
                continue
            if _matches(fault.match, request, known or {}):
                self._strike(fault)
                return fault
        return None

    def limited_for_s(
        self, target: str, request: web.Request, known: Mapping[str, str]
    ) -> float | None:
        """Return for how long a request is refused as one too many, None when it is not."""
        fault = self.take(target, {RATE_LIMITED}, request, known)
        if fault is None:
            return None
        left = fault.ends_real - real_now()
        return max(0.0, left) if math.isfinite(left) else 1.0

    def _strike(self, fault: Fault) -> None:
        if fault.left is None:
            return
        fault.left -= 1
        if fault.left <= 0:
            del self._faults[fault.id]
            self._state.put("fault", fault.id, None)
        else:
            self._state.put("fault", fault.id, asdict(fault))

    async def date_of(
        self,
        target: str,
        request: web.Request,
        now: datetime,
        identify: Callable[[web.Request], Awaitable[Mapping[str, str]]],
    ) -> str:
        """Return the ``Date`` header of an answer, skewed when a fault says so."""
        self._end_old()
        is_skewed = any((f.target, f.kind) == (target, SKEW) for f in self._faults.values())
        if not is_skewed or request.path.startswith(_HEALTH):
            return http_date(now)
        fault = self.take(target, {SKEW}, request, await identify(request))
        skew = fault.seconds("skew_s", 0.0) if fault else 0.0
        return http_date(now + timedelta(seconds=skew))

    def take_order_effects(
        self, target: str, request: web.Request, quantity: int, known: Mapping[str, str]
    ) -> Effects:
        """Collect the faults that strike an order of ``quantity`` which is being placed."""
        found = {kind: self.take(target, {kind}, request, known) for kind in sorted(ORDER_KINDS)}
        hide, reject = found["hide"], found["reject_later"]
        partial, none = found["partial_fill"], found["no_fill"]
        late = found["cancel_then_fill"]
        cap: int | None = None
        if partial:
            cap = int(partial.options.get("quantity", quantity // 2))
        if none:
            cap = 0
        capped = none or partial
        cap_s = capped.options.get("delay_s") if capped else None
        return Effects(
            hide_s=hide.seconds("delay_s", 5.0) if hide else 0.0,
            reject_after_s=reject.seconds("delay_s", 0.3) if reject else None,
            reject_message=reject.options.get("message") if reject else None,
            fill_cap=cap,
            cap_s=None if cap_s is None else float(cap_s),
            lose_tag=found["lose_tag"] is not None,
            late_fill_s=late.seconds("delay_s", 0.5) if late else None,
        )

    def middleware(
        self,
        target: str,
        identify: Callable[[web.Request], Awaitable[Mapping[str, str]]] | None = None,
    ) -> Any:
        """Return an aiohttp middleware that strikes the transport kinds on an application.

        Args:
            target: ``kite``, ``fyers`` or ``telegram``.
            identify: Gives the attributes of a request that ``match`` may name besides ``method``
                and ``path``.
        """

        @web.middleware
        async def strike(
            request: web.Request,
            handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        ) -> web.StreamResponse:
            is_aimed_at = any(fault.target == target for fault in self._faults.values())
            if not is_aimed_at or request.path.startswith(_HEALTH):
                return await handler(request)
            known = await identify(request) if identify else {}
            fault = self.take(target, TRANSPORT_KINDS, request, known)
            if fault is None:
                return await handler(request)
            await request.read()
            return await self._transport.apply(fault, request, handler)

        return strike
