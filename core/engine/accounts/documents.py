"""Documents of ``broker_accounts`` and their domain objects (``accounts.py`` names the fields)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from core.domain.account import Account, AccountDraft, Sharing, TokenStatus
from core.domain.broker_profile import BrokerProfile, unknown_broker
from core.domain.mode import TradingMode
from core.ports.store import Document

__all__ = ["account_of", "account_row"]


def account_of(row: Document, brokers: Mapping[str, BrokerProfile]) -> Account:
    """Return the account of a document, without its secrets.

    An account of a broker that this program does not know is parked; the others go on.
    """
    broker = brokers.get(row["broker_type"]) or unknown_broker(row["broker_type"])
    parked = row.get("parked_reason", "")
    if not broker.is_supported:
        parked = f"this version of Saarthi does not know the broker {broker.name!r}"
    return Account(
        broker_id=row["_id"],
        broker=broker,
        display_name=row["display_name"],
        api_key=row["api_key"],
        is_default=row["is_default"],
        enabled=row["enabled"],
        trading_mode=TradingMode(row["trading_mode"]),
        token_status=TokenStatus(row["token_status"]),
        token_generated_at=row.get("token_generated_at"),
        created_at=row["created_at"],
        last_run_at=row.get("last_run_at"),
        user_id=row.get("user_id"),
        user_name=row.get("user_name"),
        drain=row.get("drain", False),
        parked_reason=parked,
        source_address=row.get("source_address"),
        proxy=row.get("proxy") or "",
        registered=tuple(row.get("registered") or ()),
        registered_at=row.get("registered_at"),
        sharing=Sharing(row["sharing"]) if row.get("sharing") else None,
        address_seen=row.get("address_seen") or "",
        address_checked_at=row.get("address_checked_at"),
        address_trouble=row.get("address_trouble") or "",
    )


def account_row(
    broker_id: str, draft: AccountDraft, now: datetime, seal: Callable[[str], str]
) -> Document:
    """Return the first document of an account: connected, disabled, NORMAL.

    Args:
        broker_id: Its id.
        draft: What the user has given.
        now: Real time.
        seal: Seals its secret.
    """
    # A paper account has nobody to log in: it is as it would be after a login that never ends.
    is_paper = draft.broker.is_paper
    status = TokenStatus.VALID if is_paper else TokenStatus.EXPIRED
    return {
        "_id": broker_id,
        "broker_id": broker_id,
        "broker_type": draft.broker.name,
        "display_name": draft.display_name,
        "display_key": draft.display_name.lower(),
        "live": True,
        "is_default": False,
        "enabled": False,
        "drain": False,
        "trading_mode": TradingMode.NORMAL.value,
        "api_key": draft.api_key,
        "api_secret": None if is_paper else seal(draft.api_secret),
        "access_token": None,
        "token_generated_at": now if is_paper else None,
        "token_market_at": None,
        "token_status": status.value,
        "user_id": broker_id if is_paper else None,
        "user_name": None,
        "parked_reason": "",
        "source_address": None,
        "created_at": now,
        "last_run_at": None,
        "disconnected_at": None,
    }
