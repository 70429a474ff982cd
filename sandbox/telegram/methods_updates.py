"""Methods that fetch updates or say where they go."""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from sandbox.telegram.call import Call
from sandbox.telegram.errors import bad_request, conflict, too_many_requests
from sandbox.telegram.model import Json

__all__ = ["DESCRIPTIONS", "METHODS", "get_updates"]

_SECRET = re.compile(r"^[A-Za-z0-9_-]{0,256}$")
_MAX_LIMIT = 100
_DEFAULT_CONNECTIONS = 40
_ALL_KINDS = frozenset(
    [
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "business_connection",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
        "message_reaction",
        "message_reaction_count",
        "inline_query",
        "chosen_inline_result",
        "callback_query",
        "shipping_query",
        "pre_checkout_query",
        "purchased_paid_media",
        "poll",
        "poll_answer",
        "my_chat_member",
        "chat_member",
        "chat_join_request",
        "chat_boost",
        "removed_chat_boost",
    ]
)
DESCRIPTIONS = {
    "set": "Webhook was set",
    "same": "Webhook is already set",
    "deleted": "Webhook was deleted",
    "absent": "Webhook is already deleted",
}


async def get_updates(call: Call) -> list[str]:
    """Poll for updates; they come as JSON."""
    parameters = call.parameters
    limit = parameters.integer("limit", _MAX_LIMIT)
    if not 1 <= limit <= _MAX_LIMIT:
        limit = _MAX_LIMIT
    _remember_allowed(call)
    offset = parameters.integer("offset")
    timeout_s = max(0, parameters.integer("timeout"))
    return await call.sim.queue(call.bot).get(offset, limit, timeout_s)


def _remember_allowed(call: Call) -> None:
    """Keep the kinds that the bot asks for; what is absent or unreadable changes nothing."""
    raw = call.parameters.structure("allowed_updates")
    if not isinstance(raw, list):
        return
    kinds = [kind for kind in (str(item).lower() for item in raw) if kind in _ALL_KINDS]
    wanted = sorted(set(kinds)) if kinds else None
    if wanted != call.bot.allowed_updates:
        call.bot.allowed_updates = wanted
        call.sim.save_bot(call.bot)


def set_webhook(call: Call) -> Any:
    """Set or, with an empty address, remove the webhook."""
    url = (call.parameters.text("url") or "").strip()
    if not url:
        return delete_webhook(call)
    _check_address(url)
    secret = call.parameters.text("secret_token") or ""
    if not _SECRET.match(secret):
        raise bad_request("secret token contains unallowed characters")
    _check_pace(call)
    _remember_allowed(call)
    _drop_if_asked(call)
    old = call.bot.webhook or {}
    connections = call.parameters.integer("max_connections", _DEFAULT_CONNECTIONS)
    settings = {
        "url": url,
        "secret_token": secret,
        "max_connections": max(1, min(100, connections)),
    }
    is_same = all(old.get(key) == value for key, value in settings.items())
    call.bot.webhook = {**settings, "set_at": call.sim.now()}
    call.sim.queue(call.bot).end_poll(conflict("terminated by setWebhook request"))
    call.sim.save_bot(call.bot)
    return DESCRIPTIONS["same" if is_same else "set"]


def _check_pace(call: Call) -> None:
    last = (call.bot.webhook or {}).get("set_at", float("-inf"))
    if call.sim.now() - last < 1:
        raise too_many_requests(1)


def _check_address(url: str) -> None:
    """Ask for HTTPS as the public server does, but let loopback do without."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host:
        raise bad_request("bad webhook: invalid webhook URL specified")
    if parts.scheme == "https":
        return
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback:
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")


def _drop_if_asked(call: Call) -> None:
    if call.parameters.flag("drop_pending_updates"):
        call.sim.queue(call.bot).clear()


def delete_webhook(call: Call) -> str:
    """Go back to polling."""
    _drop_if_asked(call)
    was_set = call.bot.webhook is not None
    call.bot.webhook = None
    call.sim.save_bot(call.bot)
    return DESCRIPTIONS["deleted" if was_set else "absent"]


def get_webhook_info(call: Call) -> Json:
    """Return where updates go and how many wait."""
    queue = call.sim.queue(call.bot)
    queue.expire()
    webhook = call.bot.webhook or {}
    info: Json = {
        "url": webhook.get("url", ""),
        "has_custom_certificate": False,
        "pending_update_count": len(queue.pending),
    }
    for key in ("last_error_date", "last_error_message", "max_connections"):
        if key in webhook:
            info[key] = webhook[key]
    if webhook:
        info["ip_address"] = "127.0.0.1"
    if call.bot.allowed_updates:
        info["allowed_updates"] = call.bot.allowed_updates
    return info


def log_out(call: Call) -> bool:
    """Accept a log-out or close: there is no other server to go to."""
    call.sim.queue(call.bot).end_poll(None)
    return True


METHODS = {
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
    "logOut": log_out,
    "close": log_out,
}
