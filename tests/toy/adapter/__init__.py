"""Toy through its JSON API."""

from __future__ import annotations

from tests.toy.adapter.broker import ToyBroker
from tests.toy.adapter.profile import TOY

__all__ = ["TOY", "ToyBroker"]
