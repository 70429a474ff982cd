"""What a Flask program for one Fyers account stores of its login (product.md A11).

The names are those of Fyers' samples and of its SDK's arguments, and what people make of them.
"""

from __future__ import annotations

import re

from core.domain.legacy_form import LegacyForm

__all__ = ["LEGACY"]

LEGACY = LegacyForm(
    collections=(
        "fyers_tokens",
        "fyers_token",
        "tokens",
        "token",
        "access_tokens",
        "broker_tokens",
        "fyers_auth",
        "fyers_session",
        "fyers_sessions",
        "fyers_credentials",
        "fyers_config",
        "fyers",
        "auth_tokens",
        "auth",
        "sessions",
        "credentials",
        "broker_config",
        "config",
        "settings",
        "users",
    ),
    key=("app_id", "client_id", "api_key", "app", "client"),
    key_ending=("app_type",),
    secret=("secret_key", "secret_id", "api_secret", "app_secret", "client_secret", "secret"),
    token=("access_token", "auth_token", "token"),
    at=(
        "token_generated_at",
        "generated_at",
        "token_created_at",
        "login_at",
        "login_time",
        "issued_at",
        "updated_at",
        "last_updated",
        "created_at",
        "saved_at",
        "timestamp",
        "time",
        "date",
        "day",
    ),
    user_claim="fy_id",
    user=re.compile(r"[A-Z]{1,3}[0-9]{3,8}"),
    key_variables=("FYERS_APP_ID", "FYERS_CLIENT_ID", "FYERS_API_KEY"),
    secret_variables=("FYERS_SECRET_KEY", "FYERS_SECRET_ID", "FYERS_API_SECRET", "FYERS_SECRET"),
    not_taken=(
        ("refresh_token", "Fyers has ended logins by it"),
        ("pin", "Saarthi never needs it"),
    ),
)
