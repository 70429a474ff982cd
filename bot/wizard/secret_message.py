"""Removes a secret that the user sent from the chat, before anything else is done with it (A3)."""

from __future__ import annotations

from bot.conversation.visit import Visit
from bot.views.markup import bold
from bot.views.screen import Screen

__all__ = ["delete_secret"]


async def delete_secret(visit: Visit) -> None:
    """Delete the user's message, or ask them to."""
    if not await visit.delete_message():
        await visit.send(
            Screen(
                f"⚠️ {bold('I could not delete your message with the secret.')} Please delete it "
                "yourself: press and hold it, then Delete."
            )
        )
