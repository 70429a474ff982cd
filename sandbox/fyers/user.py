"""Profile and funds of a user as Fyers writes them."""

from collections.abc import Mapping
from typing import Any

from sandbox.accounts import User
from sandbox.portfolio import Funds

__all__ = ["funds", "profile"]

_FUND_TITLES = {
    1: "Total Balance",
    2: "Utilized Amount",
    3: "Clear Balance",
    4: "Realized Profit and Loss",
    5: "Collaterals",
    6: "Fund Transfer",
    7: "Receivables",
    8: "Adhoc Limit",
    9: "Limit at start of the day",
    10: "Available Balance",
}


def funds(money: Funds) -> list[dict[str, Any]]:
    """Return the rows of `fund_limit`; id 10 is what may still be used."""
    amounts: Mapping[int, float] = {
        1: money.opening + money.realised,
        2: money.used,
        3: money.opening,
        4: money.realised,
        9: money.opening,
        10: money.net,
    }
    return [
        {
            "id": number,
            "title": title,
            "equityAmount": round(amounts.get(number, 0.0), 2),
            "commodityAmount": 0,
        }
        for number, title in _FUND_TITLES.items()
    ]


def profile(user: User) -> dict[str, Any]:
    """Return the `data` of the profile, masked as Fyers masks it."""
    return {
        "fy_id": user.user_id,
        "name": user.user_name.upper(),
        "image": None,
        "display_name": user.user_name,
        "email_id": "sim****@example.com",
        "PAN": "XXXXX0000X",
        "mobile_number": "******0000",
        "totp": True,
        "pin_change_date": "01-04-2026 09:00:00",
        "pwd_change_date": None,
        "pwd_to_expire": 90,
        "ddpi_enabled": True,
        "mtf_enabled": False,
    }
