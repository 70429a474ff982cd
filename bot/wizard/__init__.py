"""Questions that span several messages; their state is stored, so it survives a restart."""

from __future__ import annotations

__all__: list[str] = []
