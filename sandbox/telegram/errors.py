"""The Bot API's refusals: an HTTP status, a description and optional parameters.

The texts are the ones that the public server sends; clients are known to compare them.
"""

from typing import Any

__all__ = ["BotApiError", "bad_request", "conflict", "forbidden", "too_many_requests"]


class BotApiError(Exception):
    """A method was refused; the dispatcher turns this into the error answer."""

    def __init__(
        self, status: int, description: str, parameters: dict[str, Any] | None = None
    ) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters


def _sentence(prefix: str, text: str) -> str:
    """Join prefix and text as the server does: `BUTTON_DATA_INVALID` keeps its capitals."""
    is_shouted = len(text) > 1 and (text[1].isupper() or text[1] == "_")
    return f"{prefix}: {text if is_shouted else text[:1].lower() + text[1:]}"


def bad_request(text: str) -> BotApiError:
    """Make a 400 whose description follows the server's prefix rule."""
    return BotApiError(400, _sentence("Bad Request", text))


def forbidden(text: str) -> BotApiError:
    """Make a 403 whose description follows the server's prefix rule."""
    return BotApiError(403, _sentence("Forbidden", text))


def conflict(text: str) -> BotApiError:
    """Make a 409, which only polls and webhooks meet."""
    return BotApiError(409, _sentence("Conflict", text))


def too_many_requests(retry_after_s: int) -> BotApiError:
    """Make a 429 with the seconds to wait."""
    return BotApiError(
        429,
        f"Too Many Requests: retry after {retry_after_s}",
        {"retry_after": retry_after_s},
    )
