"""Identifiers that Saarthi makes: accounts, orders, runs.

``client_order_id`` travels in the broker's tag. Kite takes at most 20 characters and both brokers
are safe with ``[A-Za-z0-9]`` (facts/kite.md 5.2, facts/fyers.md 5.3), so it is 20 characters of
base32. It is deterministic: the same intent computed twice has the same id and meets the unique
index.
"""

from __future__ import annotations

import base64
import hashlib
import re

__all__ = [
    "BROKER_ID",
    "PAPER",
    "broker_id_for",
    "broker_of",
    "client_order_id",
    "entry_id",
    "is_client_order_id",
    "is_paper",
]

BROKER_ID = re.compile(r"^[a-z][a-z0-9]*_[a-z0-9]{6,}$")
PAPER = "paper"
"""The name of the broker of paper accounts, which begins their ids."""
_TAG = re.compile(r"^S[A-Z2-7]{19}$")


def broker_id_for(broker: str, entropy: bytes) -> str:
    """Return ``<broker>_<10 lowercase alphanumerics>`` made of ``entropy`` (at least 8 bytes)."""
    text = base64.b32encode(hashlib.blake2b(entropy, digest_size=10).digest()).decode().lower()
    return f"{broker}_{text[:10]}"


def broker_of(broker_id: str) -> str:
    """Return the name of the broker of an account's id."""
    return broker_id.partition("_")[0]


def is_paper(broker_id: str) -> bool:
    """Return whether an account's id is that of a paper account, whose money is nobody's."""
    return broker_of(broker_id) == PAPER


def client_order_id(account: str, strategy: str, slot: str, leg: str, attempt: int) -> str:
    """Return the id of one intent: ``S`` and 19 base32 characters of a blake2b hash.

    Args:
        account: The ``broker_id``.
        strategy: Strategy name, or ``manual`` for a user's own order.
        slot: Slot or command that caused the intent.
        leg: What is traded and why (``NSE:SBIN|MIS|entry``).
        attempt: 1 for the first order of the intent, higher only after the one before it was
            proved dead.
    """
    parts = "\x1f".join((account, strategy, slot, leg, str(attempt)))
    digest = hashlib.blake2b(parts.encode(), digest_size=15).digest()
    return "S" + base64.b32encode(digest).decode()[:19]


def entry_id(account: str, strategy: str, run_id: str, name: str) -> str:
    """Return the id of a run's (first) entry; ``name`` is ``NSE:SBIN|MIS``."""
    return client_order_id(account, strategy, run_id, f"{name}|entry", 1)


def is_client_order_id(text: str | None) -> bool:
    """Return whether a tag read from a broker has the form of one of ours."""
    return bool(text and _TAG.match(text))
