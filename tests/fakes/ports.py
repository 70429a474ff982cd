"""A port for a program that binds it some time after it was told of it."""

from __future__ import annotations

from core.adapters.mongo._process import free_port

__all__ = ["free_port"]
