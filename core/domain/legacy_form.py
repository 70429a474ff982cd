"""How an older program of one account kept its login: names to look for (product.md A11)."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["LegacyForm"]


@dataclass(frozen=True, slots=True)
class LegacyForm:
    """Names of collections, fields and variables, the most likely first.

    Fields are compared without case, signs and the broker's name: ``fyers_accessToken`` is an
    ``access_token``.

    Attributes:
        collections: Where the document may be.
        key: Fields of the API key.
        key_ending: Fields of what follows the key after a hyphen where it was kept apart.
        secret: Fields of the API secret.
        token: Fields of the access token.
        at: Fields of the time of the login.
        user_claim: The token's own claim of the broker's user. No field beside it is believed: a
            wrong user would end every later login.
        user: The form of such a user's id.
        key_variables: Where such programs keep the key when it is not in the database.
        secret_variables: The same for the secret.
        not_taken: Fields that are left behind, and why.
    """

    collections: tuple[str, ...]
    key: tuple[str, ...]
    key_ending: tuple[str, ...]
    secret: tuple[str, ...]
    token: tuple[str, ...]
    at: tuple[str, ...]
    user_claim: str
    user: re.Pattern[str]
    key_variables: tuple[str, ...]
    secret_variables: tuple[str, ...]
    not_taken: tuple[tuple[str, str], ...] = ()
