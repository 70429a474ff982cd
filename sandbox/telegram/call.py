"""One call of a Bot API method, and the lookups that many methods share."""

from dataclasses import dataclass
from typing import Any

from sandbox.telegram.errors import bad_request, forbidden
from sandbox.telegram.keyboards import ReplyMarkup, parse_reply_markup
from sandbox.telegram.model import Bot, Conversation, Json, Message
from sandbox.telegram.parameters import Parameters
from sandbox.telegram.serializers import message_object
from sandbox.telegram.simulator import Simulator

__all__ = ["Call"]


@dataclass(frozen=True)
class Call:
    """What a method has to work with."""

    sim: Simulator
    bot: Bot
    parameters: Parameters

    def chat(self, name: str = "chat_id") -> Conversation:
        """Find the chat that a parameter names.

        Raises:
            BotApiError: The parameter is empty, or the bot knows no such chat.
        """
        raw = (self.parameters.text(name) or "").strip()
        if not raw:
            raise bad_request("chat_id is empty" if name == "chat_id" else f"{name} is empty")
        chat_id = int(raw) if raw.lstrip("-").isdigit() else raw
        conversation = self.sim.conversation(self.bot, chat_id)
        if conversation is None:
            raise bad_request("chat not found")
        return conversation

    def open_chat(self, name: str = "chat_id") -> Conversation:
        """Find a chat that the bot may write to.

        Raises:
            BotApiError: As `chat`, or 403 when the user blocked the bot or is deactivated.
        """
        conversation = self.chat(name)
        if conversation.is_deactivated:
            raise forbidden("user is deactivated")
        if conversation.is_blocked:
            raise forbidden(
                "bot was blocked by the user"
                if conversation.is_private
                else "bot was kicked from the group chat"
            )
        return conversation

    def message(self, conversation: Conversation, purpose: str) -> Message:
        """Find the message of `message_id`; `purpose` is the verb in the error text.

        Raises:
            BotApiError: It is not there.
        """
        message = self.sim.message(conversation, self.parameters.integer("message_id"))
        if message is None:
            raise bad_request(f"message to {purpose} not found")
        return message

    def reply_markup(self) -> ReplyMarkup:
        """Read and check `reply_markup`."""
        return parse_reply_markup(self.parameters.values.get("reply_markup"))

    def reply_to(self, conversation: Conversation) -> int | None:
        """Read which message is replied to, in the new or the old form.

        Raises:
            BotApiError: It is not there and the reply was not allowed to go without it.
        """
        wanted = self.parameters.structure("reply_parameters")
        if not isinstance(wanted, dict):
            wanted = {
                "message_id": self.parameters.integer("reply_to_message_id"),
                "allow_sending_without_reply": self.parameters.flag("allow_sending_without_reply"),
            }
        message_id = int(wanted.get("message_id") or 0)
        if not message_id:
            return None
        if self.sim.message(conversation, message_id) is not None:
            return message_id
        if wanted.get("allow_sending_without_reply"):
            return None
        raise bad_request("message to be replied not found")

    def post(
        self,
        conversation: Conversation,
        content: Json,
        *,
        forward_origin: Json | None = None,
        inline: Json | None = None,
        album: str | None = None,
    ) -> Message:
        """Put a message of this bot in a chat, with the options that every send takes."""
        markup = ReplyMarkup() if album else self.reply_markup()
        reply_to = self.reply_to(conversation)
        thread_id = self.parameters.integer("message_thread_id") or None
        message = Message(
            conversation.key,
            self.sim.next_message_id(conversation),
            int(self.sim.now()),
            content,
            bot_id=self.bot.id,
            inline=markup.inline or inline,
            prompt=markup.prompt,
            reply_to=reply_to,
            thread_id=thread_id,
            forward_origin=forward_origin,
            is_protected=self.parameters.flag("protect_content"),
            album=album,
        )
        self.sim.save_message(message)
        return message

    def show(self, message: Message) -> Json:
        """Draw a message for the answer."""
        return message_object(self.sim, message)

    def entities_of(self, name: str) -> Any:
        """Read an explicit list of entities."""
        return self.parameters.structure(name)
