"""Conversations of several messages, kept in the store so that a restart loses none of them."""

from __future__ import annotations

__all__: list[str] = []
