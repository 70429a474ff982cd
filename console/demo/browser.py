"""A minimal browser for the login pages: follows redirects, posts forms, keeps cookies."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from http import HTTPStatus

import httpx

from console.demo.chat import ChatError

__all__ = ["log_in"]


class _Page(HTMLParser):
    """Reads a page's first form with its fields, and all of its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.words: list[str] = []
        self._skips = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record forms and fields; skip style sheets and scripts."""
        found = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = found.get("action") or ""
        elif tag == "input" and found.get("name"):
            self.fields[found["name"] or ""] = found.get("value") or ""
        elif tag in {"style", "script", "title"}:
            self._skips += 1

    def handle_endtag(self, tag: str) -> None:
        """Go on after a style sheet or script."""
        if tag in {"style", "script", "title"}:
            self._skips -= 1

    def handle_data(self, data: str) -> None:
        """Collect the visible text."""
        if not self._skips and data.strip():
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        """The visible text of the page."""
        return " ".join(self.words)


async def log_in(address: str, user_id: str) -> str:
    """Log in as a user does: our page, the broker's page, back to ours; return its text.

    Raises:
        ChatError: A page did not come, or was not the expected one.
    """
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False, timeout=60) as http:
        try:
            ours = await http.get(address)
            brokers = await _submit(http, ours, {})
            if brokers.url.host == ours.url.host and brokers.url.port == ours.url.port:
                raise ChatError(f"the login page led to {brokers.url.path} instead of the broker")
            landed = await _submit(http, brokers, {"user_id": user_id, "action": "allow"})
        except httpx.HTTPError as error:
            raise ChatError("a login page did not answer") from error
    text = _Page(landed.text).text
    if landed.status_code != HTTPStatus.OK:
        raise ChatError(f"the login ended on a page of status {landed.status_code}: {text[:200]}")
    return text


async def _submit(
    http: httpx.AsyncClient, page: httpx.Response, answers: Mapping[str, str]
) -> httpx.Response:
    """Post the form of a page, which leads on by a redirect."""
    read = _Page(page.text)
    if page.status_code != HTTPStatus.OK or read.action is None:
        raise ChatError(f"{page.url.path} shows no form ({page.status_code}): {read.text[:200]}")
    target = page.url.join(read.action) if read.action else page.url
    return await http.post(target, data={**read.fields, **answers})
