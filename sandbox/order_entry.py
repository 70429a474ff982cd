"""Builds orders from what a broker accepted: fields, price protection, first status."""

from __future__ import annotations

from datetime import datetime

from sandbox import orders as status
from sandbox.clock import MarketClock, real_now
from sandbox.faults import Effects
from sandbox.instruments import Instrument
from sandbox.market import Market
from sandbox.matching import replay_arrival
from sandbox.orders import NewOrder, Order
from sandbox.risk import protected_price
from sandbox.sessions import next_open

__all__ = ["OrderEntry", "protection_tags", "resting_status"]


def resting_status(order: Order) -> str:
    """Return the status in which an order waits at the exchange."""
    waits = order.order_type in {"SL", "SL-M"} and not order.is_triggered
    return status.TRIGGER_PENDING if waits else status.OPEN


def protection_tags(protection: float) -> list[str]:
    """Return the tags that a protected order carries; -1 lets the broker choose the percentage."""
    return ["mktp"] + ([f"mktp:{protection:.2f}"] if protection > 0 else [])


class OrderEntry:
    """Builds orders at the present prices.

    Args:
        clock: Market time.
        market: Prices.
    """

    def __init__(self, clock: MarketClock, market: Market) -> None:
        self._clock = clock
        self._market = market

    def build(
        self,
        new: NewOrder,
        instrument: Instrument,
        order_id: str,
        now: datetime,
        effects: Effects | None = None,
    ) -> Order:
        """Return a new order; nothing is stored."""
        effects = effects or Effects()
        real = real_now()
        arrived = next_open(now) if new.after_market else now
        if self._market.is_replay and new.order_type == "MARKET":
            arrived = replay_arrival(arrived, self._clock.speed)
        order = Order(
            order_id=order_id,
            broker=new.account[0],
            user_id=new.account[1],
            api_key=new.api_key,
            symbol=instrument.key,
            side=new.side,
            quantity=new.quantity,
            product=new.product,
            order_type=new.order_type,
            price=new.price,
            trigger_price=new.trigger_price,
            validity=new.validity,
            tag=None if effects.lose_tag else new.tag,
            placed_at=now.isoformat(),
            arrived_at=arrived.isoformat(),
            accepted_real=real,
            disclosed_quantity=new.disclosed_quantity,
            protection=new.protection,
            visible_real=real + effects.hide_s if effects.hide_s else 0.0,
            reject_message=effects.reject_message,
            fill_cap=effects.fill_cap,
            late_fill_s=effects.late_fill_s,
            placed_by=new.account[1],
            extra=dict(new.extra),
        )
        if effects.reject_after_s is not None:
            order.reject_real = real + effects.reject_after_s
        if effects.cap_s is not None:
            order.cap_until_real = real + effects.cap_s
        if new.protection and new.order_type == "MARKET":
            self.protect(order, new.protection, instrument)
        elif new.protection and new.order_type == "SL-M":
            order.system_tags = protection_tags(new.protection)
        return order

    def protect(self, order: Order, protection: float, instrument: Instrument) -> None:
        """Turn a market order into a limit order about the last price."""
        last = self._market.last_price(instrument)
        order.system_tags = protection_tags(protection)
        order.order_type = "LIMIT"
        order.price = protected_price(instrument, last, order.sign, protection)
