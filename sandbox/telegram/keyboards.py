"""Reply markup: inline keyboards, reply keyboards, their removal, and forced replies."""

import json
from typing import Any

from sandbox.telegram.errors import bad_request
from sandbox.telegram.text import checked_link
from sandbox.telegram.text.entities import utf16_length

__all__ = ["ReplyMarkup", "parse_reply_markup"]

Json = dict[str, Any]
MAX_BUTTONS = 100
MAX_CALLBACK_DATA_BYTES = 64
MAX_COPY_TEXT = 256
MAX_PLACEHOLDER = 64
_STYLES = frozenset({"danger", "success", "primary"})
_REPLY_BUTTON_KEYS = (
    "request_contact",
    "request_location",
    "request_poll",
    "request_users",
    "request_chat",
    "web_app",
)


class ReplyMarkup:
    """What a send asked for: `inline` stays with the message, `prompt` acts on the composer."""

    def __init__(self, inline: Json | None = None, prompt: Json | None = None) -> None:
        self.inline = inline
        self.prompt = prompt


def parse_reply_markup(raw: Any) -> ReplyMarkup:
    """Validate a `reply_markup` parameter.

    Raises:
        BotApiError: With the server's words, when a button is wrong.
    """
    if raw in (None, "", {}):
        return ReplyMarkup()
    markup = _decoded(raw)
    if "inline_keyboard" in markup:
        rows = _rows(markup["inline_keyboard"], "inline_keyboard", _inline_button)
        return ReplyMarkup(inline={"inline_keyboard": rows} if rows else None)
    if "keyboard" in markup:
        rows = _rows(markup["keyboard"], "keyboard", _reply_button)
        return ReplyMarkup(prompt={**_prompt_options(markup), "keyboard": rows})
    if markup.get("remove_keyboard"):
        return ReplyMarkup(prompt={"remove_keyboard": True})
    if markup.get("force_reply"):
        return ReplyMarkup(prompt={**_prompt_options(markup), "force_reply": True})
    return ReplyMarkup()


def _decoded(raw: Any) -> Json:
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except ValueError:
            raise bad_request("can't parse reply keyboard markup JSON object") from None
    if not isinstance(raw, dict):
        raise bad_request("object expected as reply markup")
    return raw


def _prompt_options(markup: Json) -> Json:
    options: Json = {}
    placeholder = markup.get("input_field_placeholder")
    if placeholder is not None:
        options["input_field_placeholder"] = str(placeholder)[:MAX_PLACEHOLDER]
    for key in ("selective", "resize_keyboard", "one_time_keyboard", "is_persistent"):
        if markup.get(key):
            options[key] = True
    return options


def _rows(raw: Any, name: str, parse: Any) -> list[list[Json]]:
    if not isinstance(raw, list):
        raise bad_request(f'Field "{name}" must be of type Array')
    rows: list[list[Json]] = []
    for row in raw:
        if not isinstance(row, list):
            raise bad_request(f'Field "{name}" must be an Array of Arrays')
        buttons = [parse(button) for button in row]
        if buttons:
            rows.append(buttons)
    if sum(len(row) for row in rows) > MAX_BUTTONS:
        raise bad_request("reply markup is too long")
    return rows


def _reply_button(raw: Any) -> Json:
    if isinstance(raw, str):
        return {"text": raw}
    if not isinstance(raw, dict):
        raise bad_request("can't parse keyboard button: KeyboardButton must be an Object")
    if not str(raw.get("text") or "").strip():
        raise bad_request("keyboard button text must be non-empty")
    button = {"text": str(raw["text"]), **_style(raw)}
    button.update({key: raw[key] for key in _REPLY_BUTTON_KEYS if raw.get(key)})
    return button


def _style(raw: Json) -> Json:
    style = raw.get("style")
    if style in (None, ""):
        return {}
    if style not in _STYLES:
        raise bad_request("invalid button style specified")
    return {"style": style}


def _inline_button(raw: Any) -> Json:
    if isinstance(raw, str):
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    if not isinstance(raw, dict):
        raise bad_request(
            "can't parse inline keyboard button: InlineKeyboardButton must be an Object"
        )
    text = str(raw.get("text") or "")
    if not text.strip():
        raise bad_request("inline keyboard button text must be non-empty")
    button: Json = {"text": text, **_style(raw), **_action(raw)}
    if raw.get("icon_custom_emoji_id"):
        button["icon_custom_emoji_id"] = str(raw["icon_custom_emoji_id"])
    return button


def _action(raw: Json) -> Json:
    if raw.get("url"):
        return {"url": _button_url(str(raw["url"]))}
    if "callback_data" in raw:
        return {"callback_data": _callback_data(raw["callback_data"])}
    if raw.get("copy_text"):
        return {"copy_text": {"text": _copied_text(raw["copy_text"])}}
    if raw.get("disabled") is not None:
        return {"disabled": {}}
    for key in ("switch_inline_query", "switch_inline_query_current_chat"):
        if key in raw:
            return {key: str(raw[key])}
    if isinstance(raw.get("web_app"), dict):
        url = str(raw["web_app"].get("url", ""))
        if not url.startswith("https://"):
            raise bad_request(
                f"inline keyboard button Web App URL '{url}' is invalid:"
                " Only HTTPS links are allowed"
            )
        return {"web_app": {"url": url}}
    raise bad_request(
        "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
    )


def _button_url(url: str) -> str:
    link = checked_link(url)
    if not link:
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
    return link


def _callback_data(raw: Any) -> str:
    data = str(raw)
    if not 1 <= len(data.encode()) <= MAX_CALLBACK_DATA_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    return data


def _copied_text(raw: Any) -> str:
    text = str(raw.get("text", "")) if isinstance(raw, dict) else ""
    if not 1 <= utf16_length(text) <= MAX_COPY_TEXT:
        raise bad_request("BUTTON_COPY_TEXT_INVALID")
    return text
