"""Accounts at the simulators of which one hangs, one is logged out, one throttled, one at a circuit.

What a panic has to cope with (row R2): the others must not wait for these four.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.panic import Hindrance, Panic
from core.engine.safeguards.panics import newest_panic
from tests.faults.life import Life, Simulated, World, until

__all__ = ["Beset", "is_flat", "panic_of"]

FAR = "RELIANCE"
"""Held at the circuit limit; the strategy's SBIN trades."""


@dataclass
class Beset:
    """The four accounts of a world that cannot be closed."""

    hung: Simulated
    expired: Simulated
    limited: Simulated
    circuit: Simulated

    @property
    def named(self) -> dict[str, set[Hindrance]]:
        """What may be said of each, by API key."""
        return {
            self.hung.api_key: {Hindrance.SILENT},
            self.expired.api_key: {Hindrance.LOGIN},
            self.limited.api_key: {Hindrance.THROTTLED},
            self.circuit.api_key: {Hindrance.CIRCUIT},
        }

    def hold_far(self, world: World) -> None:
        """Let the person of the fourth buy what will stand at its limit, with a stop of theirs."""
        order = {"broker": self.circuit.target, "api_key": self.circuit.api_key, "symbol": FAR}
        world.sandbox.ask("POST", "/orders", {**order, "side": "BUY", "quantity": 2})
        stop = {"order_type": "SL-M", "trigger_price": 700}
        world.sandbox.ask("POST", "/orders", {**order, "side": "SELL", "quantity": 2, **stop})

    def strike(self, world: World, *, lasts_s: float = 600.0) -> None:
        """Let the four conditions begin."""
        for who, kind in ((self.hung, "hang"), (self.limited, "rate_limited")):
            match = {"api_key": [who.api_key]}
            world.sandbox.fault(kind, who.target, times=0, match=match, lasts_s=lasts_s)
        out = {"broker": self.expired.target, "api_key": [self.expired.api_key]}
        world.sandbox.ask("POST", "/tokens/expire", out)
        world.sandbox.ask("POST", "/market/circuit", {"symbol": FAR, "circuit": "lower"})

    def end(self, world: World) -> None:
        """Let all but the login end."""
        world.sandbox.ask("DELETE", "/faults")
        world.sandbox.ask("POST", "/market/circuit", {"symbol": FAR, "circuit": None})

    async def are_named(self, life: Life) -> None:
        """Wait until each of the four is named for what is wrong with it, and all others are flat."""
        by_id = {key: who.api_key for key, who in life.world.accounts.items()}

        async def named() -> bool:
            panic = await panic_of(life)
            return all(
                line.hindrance in self.named[by_id[line.broker_id]]
                if by_id[line.broker_id] in self.named
                else line.is_flat
                for line in panic.lines
            )

        try:
            await until(named)
        except AssertionError:
            raise AssertionError(f"{by_id}: {(await panic_of(life)).lines}") from None


async def panic_of(life: Life) -> Panic:
    """Return the newest panic."""
    panic = await newest_panic(life.foundation.store)
    assert panic is not None
    return panic


def is_flat(world: World, who: Simulated) -> bool:
    """Whether nothing is held and nothing works at the simulator."""
    book = world.book(who)
    held = [one for one in book["positions"] if one["quantity"]]
    final = {"COMPLETE", "CANCELLED", "REJECTED"}
    return not held and all(order["status"] in final for order in book["orders"])
