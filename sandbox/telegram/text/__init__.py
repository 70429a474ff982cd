"""Text as Telegram sees it: markup in, plain text and entities with UTF-16 offsets out."""

from sandbox.telegram.text.formatting import FormattedText, format_caption, format_text
from sandbox.telegram.text.links import checked_link

__all__ = ["FormattedText", "checked_link", "format_caption", "format_text"]
