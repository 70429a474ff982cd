"""The vault port: the only place where a secret is sealed or opened."""

from __future__ import annotations

from typing import Protocol

__all__ = ["KeptKeys", "Vault"]


class Vault(Protocol):
    """Seals secrets for the store. Neither method ever logs or echoes what it was given.

    Raises:
        VaultError: No key, a wrong key, or a damaged ciphertext.
    """

    def seal(self, plain: str) -> str:
        """Return ``plain`` encrypted with the newest key, as text."""
        ...

    def open(self, sealed: str) -> str:
        """Return the plain text of ``sealed``, under any of the known keys."""
        ...


class KeptKeys(Protocol):
    """The keys of a vault, as they are kept for the next start."""

    def trouble(self) -> str:
        """Return what the next start would not have, as a sentence, or ''."""
        ...
