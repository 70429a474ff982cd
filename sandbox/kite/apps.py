"""The apps that the simulated Kite knows from the start."""

from __future__ import annotations

__all__ = ["CALLBACK_PATH", "KEYS"]

CALLBACK_PATH = "/broker/callback/zerodha"
KEYS = (
    ("kitesimkey000001", "k1" * 16, "AB1234"),
    ("kitesimkey000002", "k2" * 16, "CD5678"),
    ("kitesimkey000003", "k3" * 16, "EF9012"),
)
