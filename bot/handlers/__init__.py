"""Handlers: a few lines each between a visit, the facade and a view."""

from __future__ import annotations

__all__: list[str] = []
