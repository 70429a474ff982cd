"""Auth codes and access tokens in the shape of JWTs, as Fyers gives them out.

The payload can be read without a key and shows the expiry (06:00 IST of the next day) and the
user. The signature is of a key that dies with the process and is never checked: what makes a token
valid is that the simulator remembers it.
"""

import base64
import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta, timezone
from typing import Any

__all__ = [
    "IST",
    "access_token",
    "app_id_hash",
    "auth_code",
    "next_expiry",
    "payload_of",
    "refresh_token",
]

IST = timezone(timedelta(hours=5, minutes=30), "IST")
EXPIRY_HOUR = 6
AUTH_CODE_LIFE = timedelta(seconds=30_000)
_KEY = secrets.token_bytes(32)


def app_id_hash(app_id: str, secret: str) -> str:
    """Return what a client must send as `appIdHash`; the app id carries its `-100` suffix."""
    return hashlib.sha256(f"{app_id}:{secret}".encode()).hexdigest()


def next_expiry(now: datetime) -> datetime:
    """Return the moment at which a token born now dies: the first 06:00 IST after it."""
    local = now.astimezone(IST)
    today = local.replace(hour=EXPIRY_HOUR, minute=0, second=0, microsecond=0)
    return today if local < today else today + timedelta(days=1)


def auth_code(app_id: str, user_id: str, now: datetime) -> str:
    """Return a new auth code for one app and user."""
    claims = {
        "aud": ["x:0", "x:1", "x:2", "d:1", "d:2"],
        "app_id": app_id.partition("-")[0],
        "display_name": user_id,
        "exp": int((now + AUTH_CODE_LIFE).timestamp()),
        "fy_id": user_id,
        "iat": int(now.timestamp()),
        "iss": "api.login.fyers.in",
        "nonce": "",
        "oms": "K1",
        "sub": "auth_code",
        "uuid": secrets.token_hex(16),
    }
    return _jwt(claims)


def access_token(user_id: str, display_name: str, now: datetime) -> str:
    """Return a new access token of one user."""
    claims = {
        "aud": ["d:1", "d:2", "x:0", "x:1", "x:2"],
        "appType": 100,
        "at_hash": secrets.token_urlsafe(48),
        "display_name": display_name,
        "exp": int(next_expiry(now).timestamp()),
        "fy_id": user_id,
        "hsm_key": secrets.token_hex(28),
        "iat": int(now.timestamp()),
        "isDdpiEnabled": "N",
        "isMtfEnabled": "N",
        "iss": "api.fyers.in",
        "nbf": int(now.timestamp()),
        "oms": "K1",
        "sub": "access_token",
    }
    return _jwt(claims)


def refresh_token(user_id: str, now: datetime) -> str:
    """Return a refresh token: still handed out, of no use since 1 April 2026."""
    expiry = next_expiry(now) + timedelta(days=14)
    claims = {
        "exp": int(expiry.timestamp()),
        "fy_id": user_id,
        "iat": int(now.timestamp()),
        "iss": "api.fyers.in",
        "sub": "refresh_token",
        "uuid": secrets.token_hex(8),
    }
    return _jwt(claims)


def payload_of(token: str) -> dict[str, Any]:
    """Return the claims of a token without checking anything."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def _jwt(claims: dict[str, Any]) -> str:
    head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = _encode(json.dumps(claims, separators=(",", ":")).encode())
    signature = hmac.new(_KEY, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{_encode(signature)}"


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
