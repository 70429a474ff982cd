"""Broker accounts: the record, and the rules for what a user types into one (product.md A)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.broker_profile import BrokerProfile
from core.domain.mode import TradingMode
from core.domain.plain_text import plain_line
from core.errors import UserError

__all__ = [
    "PAPER_MARK",
    "Account",
    "AccountDraft",
    "CarriedLogin",
    "DisablePolicy",
    "Sharing",
    "TokenStatus",
    "checked_display_name",
]


PAPER_MARK = "📝 "
"""Stands before the name of every paper account, wherever it is shown."""


class TokenStatus(StrEnum):
    """Whether the day's login is believed to be alive."""

    VALID = "valid"
    EXPIRED = "expired"


class DisablePolicy(StrEnum):
    """What happens to the strategies' positions when an account is disabled (A5)."""

    EXITS_ONLY = "exits_only"
    CLOSE_NOW = "close_now"
    MANUAL = "manual"


class Sharing(StrEnum):
    """Why an account may leave from the address of another one (A12)."""

    HOLDER = "same_holder"
    SPOUSE = "spouse"
    CHILD = "dependent_child"
    PARENT = "dependent_parent"


@dataclass(frozen=True, slots=True)
class Account:
    """One account, without its secrets (those stay sealed in the store).

    Attributes:
        user_id: The broker's id of the user who first logged in; None before that.
        token_generated_at: Time of the last login, UTC; None when never logged in.
        drain: With ``enabled`` false: strategies may still send exits (``DisablePolicy``).
        parked_reason: Why nothing is sent for it now (login, refused address), or empty.
        source_address: Local address its requests leave from; None means the machine's own.
        proxy: The proxy that they go through instead, without its login; '' for none.
        registered: The addresses that the broker's console holds, as far as was said here.
        registered_at: When they were last changed there; None when that is not known.
        sharing: Why the account may share its address with others.
        address_seen: From where the broker saw the account at the last check.
        address_checked_at: When that was; None before the first check.
        address_trouble: Why nothing is entered from its present address, or ''.
    """

    broker_id: str
    broker: BrokerProfile
    display_name: str
    api_key: str
    is_default: bool
    enabled: bool
    trading_mode: TradingMode
    token_status: TokenStatus
    token_generated_at: datetime | None
    created_at: datetime
    last_run_at: datetime | None = None
    user_id: str | None = None
    user_name: str | None = None
    drain: bool = False
    parked_reason: str = ""
    source_address: str | None = None
    proxy: str = ""
    registered: tuple[str, ...] = ()
    registered_at: datetime | None = None
    sharing: Sharing | None = None
    address_seen: str = ""
    address_checked_at: datetime | None = None
    address_trouble: str = ""

    @property
    def label(self) -> str:
        """``Zerodha - Main``: the broker and the user's own name; a paper account's is marked."""
        return f"{self._mark}{self.broker.label} - {self.display_name}"

    @property
    def short_label(self) -> str:
        """``Main``: the user's own name, for a button; a paper account's is marked."""
        return f"{self._mark}{self.display_name}"

    @property
    def _mark(self) -> str:
        return PAPER_MARK if self.broker.is_paper else ""

    @property
    def needs_login(self) -> bool:
        """Whether the user has to log in before this account can work."""
        is_login_known = self.broker.is_supported and not self.broker.is_paper
        return is_login_known and self.token_status is TokenStatus.EXPIRED


@dataclass(frozen=True, slots=True)
class AccountDraft:
    """What the wizard has gathered; ``api_secret`` is plain here and sealed when stored.

    Attributes:
        funds: Rupees that a paper account begins with; it has no key and no secret.
    """

    broker: BrokerProfile
    display_name: str
    api_key: str
    api_secret: str
    funds: Decimal | None = None

    def __repr__(self) -> str:
        """Leave the secret out of any traceback or log."""
        return f"AccountDraft({self.broker}, {self.display_name!r}, {self.api_key!r}, ***)"


@dataclass(frozen=True, slots=True)
class CarriedLogin:
    """The login of an account that another program had (A11); the token is plain here.

    Attributes:
        place: Where it was found.
        at: When the token was made, real time; None when nothing says so.
        market_at: The same in market time.
        status: Whether it is believed to be alive.
    """

    place: str
    access_token: str
    at: datetime | None
    market_at: datetime | None
    status: TokenStatus
    user_id: str | None

    def __repr__(self) -> str:
        """Leave the token out of any traceback or log."""
        return f"CarriedLogin({self.place!r}, {self.user_id!r}, ***)"


_NAME_LIMIT = 40


def checked_display_name(text: str) -> str:
    """Return the plain display name, 1 to 40 characters, or raise ``UserError``."""
    name = plain_line(text)
    if not name:
        raise UserError("The name is empty; expected 1 to 40 characters, for example Main.")
    if len(name) > _NAME_LIMIT:
        raise UserError(f"The name has {len(name)} characters; expected at most {_NAME_LIMIT}.")
    return name
