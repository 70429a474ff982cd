"""Circuit limits: the lowest and the highest price of a day, and instruments that stand at one.

At its lower limit an instrument has sellers and no buyers, at its upper limit the other way round:
orders of the side that is stuck rest. On a later day the limits are others, and both sides trade.
"""

from __future__ import annotations

from sandbox.instruments import Instrument
from sandbox.prices import rounded
from sandbox.state import State

__all__ = ["CIRCUITS", "CircuitLocks", "circuit_limits"]

CIRCUITS = ("lower", "upper")
_BAND = 0.10
_STUCK = {"lower": "SELL", "upper": "BUY"}
_KIND = "circuit"


def circuit_limits(instrument: Instrument, close: float) -> tuple[float, float]:
    """Return the lowest and the highest price of the day after a close."""
    tick = instrument.tick_size
    return rounded(close * (1 - _BAND), tick), rounded(close * (1 + _BAND), tick)


class CircuitLocks:
    """Which instruments stand at a circuit limit.

    Args:
        state: Keeps them.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._locks: dict[str, str] = {}

    def load(self) -> None:
        """Read them from the state."""
        self._locks = self._state.group(_KIND)

    def all(self) -> dict[str, str]:
        """Return them by instrument."""
        return dict(self._locks)

    def put(self, key: str, circuit: str | None) -> None:
        """Say that an instrument stands at a limit, or None that it stands at none."""
        self._locks.pop(key, None)
        if circuit is not None:
            self._locks[key] = circuit
        self._state.put(_KIND, key, circuit)

    def stuck_side(self, key: str, last_price: float, limits: tuple[float, float]) -> str:
        """Return the side whose orders find nobody, empty when both sides trade."""
        circuit = self._locks.get(key)
        if circuit is None or last_price != limits[CIRCUITS.index(circuit)]:
            return ""
        return _STUCK[circuit]
