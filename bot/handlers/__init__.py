"""Handlers: each takes a visit, calls a service of ``Control`` and shows a view."""

from __future__ import annotations

__all__: list[str] = []
