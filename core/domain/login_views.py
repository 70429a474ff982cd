"""What the controller shows of a login."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.account import Account

__all__ = ["LoginOffer"]


@dataclass(frozen=True, slots=True)
class LoginOffer:
    """How a user logs an account in.

    Attributes:
        page_url: Our own page (B1); None when there is no public URL.
        direct_url: The broker's address, fresh, for the paste way (B4); None when page_url is set.
    """

    account: Account
    page_url: str | None
    direct_url: str | None
