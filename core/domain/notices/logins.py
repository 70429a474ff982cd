"""Notices about logins and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from core.errors import LoginFault

__all__ = [
    "LoginDone",
    "LoginFailed",
    "LoginNotice",
    "LoginReopened",
    "LoginSilent",
    "MorningRound",
    "TokenWarning",
]


@dataclass(frozen=True, slots=True)
class LoginDone:
    """A login was completed and its token stored.

    Attributes:
        broker_id: The account.
        user_name: Who logged in, as the broker spells it; may be empty.
    """

    kind: ClassVar[str] = "login_done"
    broker_id: str
    user_name: str = ""


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """A login came back and could not be completed; posted once a login and fault (B3).

    Attributes:
        broker_id: The account.
        fault: Why.
        detail: The broker's text, or who logged in instead; may be empty.
    """

    kind: ClassVar[str] = "login_failed"
    broker_id: str
    fault: LoginFault
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LoginReopened:
    """The page of a login that is done was loaded again; nothing was changed."""

    kind: ClassVar[str] = "login_reopened"
    broker_id: str


@dataclass(frozen=True, slots=True)
class LoginSilent:
    """No callback came within five minutes of the start of a login (B3)."""

    kind: ClassVar[str] = "login_silent"
    broker_id: str


@dataclass(frozen=True, slots=True)
class MorningRound:
    """Every account that needs logins, ticked as they complete: posted by /login. A card (B9)."""

    kind: ClassVar[str] = "morning_round"


@dataclass(frozen=True, slots=True)
class TokenWarning:
    """The one message about accounts whose login has ended. A card (B6, B8).

    What is held there, and what protects it, is read when it is shown.

    Attributes:
        broker_ids: The accounts that it is about; none where the card is removed.
        exits: The client order ids of exits that wait for these logins.
    """

    kind: ClassVar[str] = "token_warning"
    broker_ids: tuple[str, ...] = ()
    exits: tuple[str, ...] = ()


LoginNotice: TypeAlias = (
    LoginDone | LoginFailed | LoginReopened | LoginSilent | MorningRound | TokenWarning
)
