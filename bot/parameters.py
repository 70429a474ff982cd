"""The settings that the bot uses."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from core.domain.broker_profile import BrokerProfile
from core.errors import ConfigurationError, UserError

__all__ = ["BotParameters"]

_API = "https://api.telegram.org"


@dataclass(frozen=True, slots=True)
class BotParameters:
    """Settings of the bot.

    Attributes:
        token: The bot's token; never shown.
        api_root: Root of the Bot API.
        brokers: The brokers whose accounts can be added, in the order of the buttons.
        public_url: The address that brokers redirect to; None when there is none (B4).
        redirect_root: Root of the redirect address shown in the guides; by default ``public_url``,
            else the loopback address that the engine names to brokers (B4).
        stale_after_s: A tap or an answer older than this changes nothing (T07).
        poll_timeout_s: How long one poll waits at Telegram.
        patience_s: After how many seconds a user is told that an answer takes long; 0: never.
    """

    token: str
    brokers: tuple[BrokerProfile, ...] = ()
    api_root: str = _API
    public_url: str | None = None
    redirect_root: str = ""
    stale_after_s: float = 120.0
    poll_timeout_s: int = 25
    patience_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, without repeating the token."""
        number, colon, rest = self.token.partition(":")
        if not (number.isdigit() and colon and rest):
            raise ConfigurationError(
                "SAARTHI_TELEGRAM_TOKEN: found something that is no bot token; expected the form "
                "123456:ABC… that BotFather gives."
            )
        if urlsplit(self.api_root).scheme not in {"http", "https"}:
            raise ConfigurationError(
                f"SAARTHI_TELEGRAM_API: found {self.api_root!r}; expected an http(s) address."
            )

    def __repr__(self) -> str:
        """Leave the token out of any traceback or log."""
        return f"BotParameters(bot {self.bot_id}, {self.api_root!r})"

    @property
    def bot_id(self) -> int:
        """The bot's own user id, the first part of its token."""
        return int(self.token.partition(":")[0])

    def broker(self, name: str) -> BrokerProfile:
        """Return a broker by its name; raises ``UserError`` for one that cannot be added."""
        for broker in self.brokers:
            if broker.name == name:
                return broker
        raise UserError("That broker is not offered here. Use /add to start again.")

    def redirect_url(self, broker: BrokerProfile) -> str:
        """Return the address that the user pastes into the broker's console."""
        root = self.redirect_root or self.public_url or "https://127.0.0.1"
        return root.rstrip("/") + broker.callback_path
