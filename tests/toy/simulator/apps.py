"""The apps that the simulated Toy knows from the start."""

from __future__ import annotations

__all__ = ["CALLBACK_PATH", "KEYS"]

CALLBACK_PATH = "/broker/callback/toy"
KEYS = (("toy-sim1", "wordsofthetoy", "TOY1"),)
