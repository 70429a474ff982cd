"""Links as Telegram accepts them: http, https, tg, ton and tonsite, with a dotted host."""

import re
from urllib.parse import urlsplit

__all__ = ["checked_link", "linked_user_id"]

_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*)://")
_USER_LINK = re.compile(r"^tg://user\?id=(\d+)$", re.IGNORECASE)


def linked_user_id(url: str) -> int | None:
    """Give the user of a `tg://user?id=` link."""
    match = _USER_LINK.match(url)
    return int(match.group(1)) if match else None


def checked_link(url: str) -> str:
    """Normalise a link; an empty string means that Telegram would not take it.

    A host without a dot is refused, so `http://localhost` is no link and
    `http://127.0.0.1` is one, as on the public server.
    """
    url = url.strip()
    scheme = _SCHEME.match(url)
    if scheme is None:
        url = f"http://{url}"
    elif scheme.group(1).lower() in {"tg", "ton", "tonsite"}:
        return url
    elif scheme.group(1).lower() not in {"http", "https"}:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return ""
    if "." not in host.strip(".") or any(char.isspace() for char in url):
        return ""
    needs_slash = not parts.path and not parts.query and not parts.fragment
    return url + "/" if needs_slash else url
