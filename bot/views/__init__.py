"""Views: pure functions from the controller's answers to screens."""

from __future__ import annotations

__all__: list[str] = []
