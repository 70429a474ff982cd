"""Charges as amounts: the lines of a contract note, and what of them is not known."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal

__all__ = ["NOTHING", "Charges"]

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Charges:
    """Rupees by the lines of a contract note, each a multiple of a paisa.

    Attributes:
        stt: Securities transaction tax.
        exchange: Transaction charges of the exchange, and of a clearing member where the broker
            has one.
        sebi: Turnover fee of the regulator.
        gst: On brokerage, exchange charges and the turnover fee.
        stamp: Stamp duty.
        dp: The depository's charge for shares that leave the account, with its GST. It is on no
            contract note: brokers post it to the ledger.
        unknown: What is in none of the amounts, and why; empty when all is known.
    """

    brokerage: Decimal = _ZERO
    stt: Decimal = _ZERO
    exchange: Decimal = _ZERO
    sebi: Decimal = _ZERO
    gst: Decimal = _ZERO
    stamp: Decimal = _ZERO
    dp: Decimal = _ZERO
    unknown: tuple[str, ...] = ()

    @property
    def known(self) -> Decimal:
        """What is known of the total: at least this much."""
        return sum((getattr(self, name) for name in _AMOUNTS), _ZERO)

    @property
    def total(self) -> Decimal | None:
        """Everything together; None when anything is unknown."""
        return None if self.unknown else self.known

    def __add__(self, other: Charges) -> Charges:
        return self._with(other, 1)

    def __sub__(self, other: Charges) -> Charges:
        return self._with(other, -1)

    def _with(self, other: Charges, sign: int) -> Charges:
        amounts = {name: getattr(self, name) + sign * getattr(other, name) for name in _AMOUNTS}
        return Charges(**amounts, unknown=tuple(dict.fromkeys(self.unknown + other.unknown)))


_AMOUNTS = tuple(field.name for field in fields(Charges) if field.name != "unknown")
NOTHING = Charges()
"""No charges at all, and nothing unknown."""
