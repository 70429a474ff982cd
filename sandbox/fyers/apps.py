"""The apps that the simulated Fyers knows from the start."""

from __future__ import annotations

__all__ = ["CALLBACK_PATH", "KEYS"]

CALLBACK_PATH = "/broker/callback/fyers"
KEYS = (
    ("FYSIMAPP01-100", "FYSECRET01", "XA00001"),
    ("FYSIMAPP02-100", "FYSECRET02", "XB00002"),
    ("FYSIMAPP03-100", "FYSECRET03", "XC00003"),
)
