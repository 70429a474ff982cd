"""Handlers: a few lines each between a visit, a service of the control and a view."""

from __future__ import annotations

__all__: list[str] = []
