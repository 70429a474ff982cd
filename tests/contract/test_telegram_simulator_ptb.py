"""python-telegram-bot, unchanged but for the address, against the Telegram simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from telegram import (
    BotCommand,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Update,
)
from telegram.error import BadRequest, Forbidden, NetworkError, RetryAfter
from telegram.ext import (
    Application,
    CallbackQueryHandler,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    filters,
)

from tests.fakes.bot_api import TOKEN, Telegram, serve_telegram

Context = ContextTypes.DEFAULT_TYPE
Any_Application = Application[Any, Any, Any, Any, Any, Any]


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    async with serve_telegram() as server:
        yield server


async def start(update: Update, _context: Context) -> None:
    assert update.message
    keyboard = InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton(
                    "Connect", callback_data="connect", api_kwargs={"style": "primary"}
                )
            ]
        ]
    )
    await update.message.reply_html("<b>Welcome</b>", reply_markup=keyboard)


async def connect(update: Update, _context: Context) -> None:
    query = update.callback_query
    assert query
    assert query.message
    await query.answer("One moment")
    await query.edit_message_text("Connecting…")
    await query.message.chat.send_message("API key?", reply_markup=ForceReply())


async def key(update: Update, _context: Context) -> None:
    assert update.message
    assert update.message.reply_to_message
    await update.message.delete()
    await update.message.chat.send_message("Stored.")


@asynccontextmanager
async def running(telegram: Telegram) -> AsyncIterator[Any_Application]:
    """Run an application that polls the simulator."""
    application = (
        Application.builder()
        .token(TOKEN)
        .base_url(f"{telegram.root}/bot")
        .base_file_url(f"{telegram.root}/file/bot")
        .job_queue(None)
        .build()
    )
    application.add_handler(CommandHandler("start", start))
    application.add_handler(CallbackQueryHandler(connect))
    application.add_handler(MessageHandler(filters.REPLY, key))
    async with application:
        assert application.updater
        await application.start()
        await application.updater.start_polling(timeout=10)
        try:
            yield application
        finally:
            telegram.wall.seconds += 10  # or the last poll is held: it repeats an offset too soon
            await application.updater.stop()
            await application.stop()


async def eventually(
    telegram: Telegram, holds: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    """Wait until the user sees what is expected, and give the messages."""
    async with asyncio.timeout(150):
        while True:
            messages: list[dict[str, Any]] = (await telegram.transcript())["messages"]
            if holds(messages):
                return messages
            await asyncio.sleep(0.01)


async def test_a_whole_conversation_by_polling(telegram: Telegram):
    """Command, keyboard, tap, toast, edit, forced reply and deletion work through a real client."""
    async with running(telegram) as application:
        assert application.bot.id == 7000000001
        await application.bot.set_my_commands([BotCommand("start", "Home")])
        await telegram.say("/start")
        messages = await eventually(telegram, lambda m: len(m) == 2)
        assert messages[1]["text"] == "Welcome"
        assert messages[1]["keyboard"][0][0]["style"] == "primary"
        place = {"chat_id": 1001, "user_id": 1001, "message_id": messages[1]["id"]}
        await telegram.control("tap", **place, text="Connect")
        messages = await eventually(telegram, lambda m: len(m) == 3)
        assert (messages[1]["text"], messages[1]["edited"]) == ("Connecting…", True)
        assert (await telegram.transcript())["toasts"][0]["text"] == "One moment"
        await telegram.say("hunter2", reply_to=messages[2]["id"])
        messages = await eventually(telegram, lambda m: len(m) == 5)
        assert messages[3]["deleted"]
        assert "hunter2" not in str(messages)
        assert messages[4]["text"] == "Stored."


@pytest.mark.filterwarnings("ignore:Deprecated since version v22.2")  # how RetryAfter shows seconds
async def test_errors_become_the_clients_exceptions(telegram: Telegram):
    """Refusals, floods and lost connections are told apart by the client."""
    async with running(telegram) as application:
        bot = application.bot
        with pytest.raises(BadRequest, match="Chat not found"):
            await bot.send_message(5, "x")
        await telegram.say("hello")
        sent = await bot.send_message(1001, "x")
        with pytest.raises(BadRequest, match="Message is not modified"):
            await sent.edit_text("x")
        flood = {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 3",
            "parameters": {"retry_after": 3},
        }
        telegram.world.faults.add(
            {
                "target": "telegram",
                "kind": "http",
                "status": 429,
                "body": flood,
                "match": {"path": "/sendMessage"},
            }
        )
        with pytest.raises(RetryAfter):
            await bot.send_message(1001, "x")
        telegram.world.faults.add(
            {"target": "telegram", "kind": "reset_after", "match": {"path": "/sendMessage"}}
        )
        with pytest.raises(NetworkError):
            await bot.send_message(1001, "arrived all the same")
        await eventually(telegram, lambda m: m[-1]["text"] == "arrived all the same")
        await telegram.control("chats", id=1001, blocked=True)
        with pytest.raises(Forbidden, match="blocked"):
            await bot.send_message(1001, "x")


async def test_files_and_queries_of_the_client(telegram: Telegram):
    """Documents go up and come down through the client, chats and members parse."""
    async with running(telegram) as application:
        await telegram.say("hello")
        bot = application.bot
        sent = await bot.send_document(1001, b"a,b\n1,2\n", filename="fills.csv", caption="Fills")
        assert sent.document
        fetched = await (await sent.document.get_file()).download_as_bytearray()
        assert bytes(fetched) == b"a,b\n1,2\n"
        assert (await bot.get_chat(1001)).type == "private"
        assert (await bot.get_chat_member(1001, 1001)).status == "member"
        await sent.pin()
        pinned = (await bot.get_chat(1001)).pinned_message
        assert pinned
        assert pinned.message_id == sent.message_id
        await bot.unpin_chat_message(1001, sent.message_id)
        await bot.send_chat_action(1001, "typing")
        await sent.edit_caption("Today's fills")
