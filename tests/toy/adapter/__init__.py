"""Toy through its JSON API."""

from __future__ import annotations

from tests.toy.adapter.broker import ToyBroker

__all__ = ["ToyBroker"]
