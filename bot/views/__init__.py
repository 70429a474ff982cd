"""Views: pure functions that render the controller's answers as screens."""

from __future__ import annotations

__all__: list[str] = []
