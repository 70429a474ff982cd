"""The Telegram simulator against the facts: methods, their answers and their exact refusals."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.fakes.bot_api import TOKEN, BotClient, Telegram, check, serve_telegram

NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are"
    " exactly the same as a current content and reply markup of the message"
)
TOO_OLD = "Bad Request: query is too old and response timeout expired or query ID is invalid"


def keyboard(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"inline_keyboard": [list(buttons)]}


def png(width: int = 3, height: int = 2) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x2a\x8a\xe0" * width for _ in range(height)))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    async with serve_telegram() as server:
        yield server


@pytest.fixture
async def bot(telegram: Telegram) -> BotClient:
    """Give a bot to whom user 1001 has written."""
    client = telegram.bot()
    await client.ok("getMe")
    await telegram.say("/start")
    return client


async def test_any_encoding_verb_and_case_is_understood(telegram: Telegram):
    """A client may send parameters in any of the five encodings, under any verb and case."""
    bot = telegram.bot()
    await bot.ok("getMe")
    await telegram.say("hi")
    url = f"{telegram.root}/bot{TOKEN}/SENDmessage"
    values = {"chat_id": "1001", "text": "x"}
    multipart = aiohttp.FormData()
    for name, value in values.items():
        multipart.add_field(name, value, content_type="text/plain")
    for verb, options in (
        ("GET", {"params": values}),
        ("POST", {"params": values}),
        ("POST", {"data": values}),
        ("PUT", {"json": {"chat_id": 1001, "text": "x"}}),
        ("POST", {"data": multipart}),
    ):
        async with telegram.session.request(verb, url, **options) as answer:
            body = await answer.json()
            check("sendMessage", answer.status, body)
            assert body["result"]["text"] == "x"
    async with telegram.session.get(f"{telegram.root}/bot{TOKEN}/test/getme") as answer:
        assert (await answer.json())["ok"]


async def test_tokens_and_methods_are_refused_in_the_servers_words(telegram: Telegram):
    """A malformed token is 401 and an unknown method 404, each with its known text."""
    bad = ("012:abc", "nonsense", f"1:{'a' * 90}")
    for token in bad:
        text = await telegram.bot(token).refused("getMe")
        assert text == "Unauthorized: invalid token specified"
    text = await telegram.bot().refused("sendPigeon")
    assert text == "Not Found: method not found"


async def test_each_token_is_a_bot_of_its_own(telegram: Telegram):
    """Two tokens have two identities, two chats with the same person and two queues."""
    one, two = telegram.bot("11:aa"), telegram.bot("22:bb")
    first, second = await one.ok("getMe"), await two.ok("getMe")
    assert (first["id"], second["id"]) == (11, 22)
    assert first["username"] != second["username"]
    await telegram.say("for two", bot_id=22)
    assert await one.ok("getUpdates") == []
    assert (await two.ok("getUpdates"))[0]["message"]["text"] == "for two"
    assert await one.refused("sendMessage", chat_id=1001, text="x") == "Bad Request: chat not found"


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"text": "x"}, "chat_id is empty"),
        ({"chat_id": 5, "text": "x"}, "chat not found"),
        ({"chat_id": 1001}, "message text is empty"),
        ({"chat_id": 1001, "text": " \n "}, "message text is empty"),
        ({"chat_id": 1001, "text": "x" * 4097}, "message is too long"),
        ({"chat_id": 1001, "text": "x" * 32769}, "text is too long"),
        (
            {"chat_id": 1001, "text": "x", "reply_parameters": {"message_id": 99}},
            "message to be replied not found",
        ),
    ],
)
async def test_sending_is_refused_in_the_servers_words(
    bot: BotClient, parameters: dict[str, Any], text: str
):
    """A wrong sendMessage gets the description that the public server has for it."""
    assert await bot.refused("sendMessage", **parameters) == f"Bad Request: {text}"


@pytest.mark.parametrize(
    ("button", "text"),
    [
        ({"text": "x", "callback_data": "d" * 65}, "BUTTON_DATA_INVALID"),
        ({"text": "x", "callback_data": "₹" * 22}, "BUTTON_DATA_INVALID"),
        ({"text": "", "callback_data": "d"}, "inline keyboard button text must be non-empty"),
        ({"text": "x", "callback_data": "d", "style": "pink"}, "invalid button style specified"),
        (
            {"text": "x", "url": "http://localhost:80/"},
            "inline keyboard button URL 'http://localhost:80/' is invalid: Wrong HTTP URL",
        ),
        (
            {"text": "x"},
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
    ],
)
async def test_a_wrong_button_is_refused(bot: BotClient, button: dict[str, Any], text: str):
    """Callback data counts bytes; a button needs a text, an action and a known style."""
    markup = keyboard(button)
    found = await bot.refused("sendMessage", chat_id=1001, text="x", reply_markup=markup)
    assert found == f"Bad Request: {text}"


async def test_buttons_of_every_kind_come_back(bot: BotClient):
    """Styles, links, copied texts and disabled buttons are kept as they were sent."""
    buttons: list[dict[str, Any]] = [
        {"text": "a", "callback_data": "d" * 64, "style": "danger"},
        {"text": "b", "url": "http://127.0.0.1:8443/login", "style": "primary"},
        {"text": "c", "copy_text": {"text": "SA1"}, "style": "success"},
        {"text": "d", "disabled": {}},
    ]
    sent = await bot.ok("sendMessage", chat_id=1001, text="x", reply_markup=keyboard(*buttons))
    assert sent["reply_markup"] == keyboard(*buttons)
    many = {"inline_keyboard": [[{"text": "x", "callback_data": "x"}]] * 101}
    found = await bot.refused("sendMessage", chat_id=1001, text="x", reply_markup=many)
    assert found == "Bad Request: reply markup is too long"


async def test_an_edit_changes_text_and_keyboard_or_is_refused(telegram: Telegram, bot: BotClient):
    """An edit that changes nothing, or another's message, is refused; one without keyboard drops it."""
    markup = keyboard({"text": "x", "callback_data": "x"})
    sent = await bot.ok("sendMessage", chat_id=1001, text="one", reply_markup=markup)
    place = {"chat_id": 1001, "message_id": sent["message_id"]}
    same = await bot.refused("editMessageText", **place, text="one", reply_markup=markup)
    assert same == NOT_MODIFIED
    edited = await bot.ok("editMessageText", **place, text="two")
    assert edited["text"] == "two"
    assert "reply_markup" not in edited
    assert edited["edit_date"]
    assert await bot.refused("editMessageReplyMarkup", **place) == NOT_MODIFIED
    await bot.ok("editMessageReplyMarkup", **place, reply_markup=markup)
    gone = await bot.refused("editMessageText", chat_id=1001, message_id=999, text="x")
    assert gone == "Bad Request: message to edit not found"
    theirs = await telegram.say("mine")
    found = await bot.refused("editMessageText", chat_id=1001, message_id=theirs, text="x")
    assert found == "Bad Request: message can't be edited"
    caption = await bot.refused("editMessageCaption", **place, caption="x")
    assert caption == "Bad Request: there is no caption in the message to edit"


async def test_a_deleted_secret_cannot_be_read_any_more(telegram: Telegram, bot: BotClient):
    """A bot may delete a user's message for 48 hours; nothing of its text stays visible."""
    secret = await telegram.say("my-api-secret")
    answer = await telegram.say("an answer", reply_to=secret)
    await bot.ok("deleteMessage", chat_id=1001, message_id=secret)
    shown = await telegram.transcript()
    by_id = {message["id"]: message for message in shown["messages"]}
    assert by_id[secret]["deleted"]
    assert by_id[secret]["text"] == ""
    assert by_id[answer]["reply_to"] == secret
    assert "my-api-secret" not in str(shown)
    again = await bot.refused("deleteMessage", chat_id=1001, message_id=secret)
    assert again == "Bad Request: message to delete not found"
    old = await telegram.say("old")
    telegram.wall.seconds += 48 * 3600 + 1
    late = await bot.refused("deleteMessage", chat_id=1001, message_id=old)
    assert late == "Bad Request: message can't be deleted for everyone"
    assert await bot.ok("deleteMessages", chat_id=1001, message_ids=[old, answer, 999])


async def test_a_tap_takes_one_answer_and_only_soon(telegram: Telegram, bot: BotClient):
    """A callback is answered once and within its time; its text is what the user is shown."""
    markup = keyboard({"text": "Go", "callback_data": "go"}, {"text": "Web", "url": "http://a.b/"})
    sent = await bot.ok("sendMessage", chat_id=1001, text="x", reply_markup=markup)
    place = {"chat_id": 1001, "user_id": 1001, "message_id": sent["message_id"]}
    _, tapped = await telegram.control("tap", **place, text="Go")
    query = tapped["callback_query_id"]
    update = (await bot.ok("getUpdates"))[-1]["callback_query"]
    assert (update["id"], update["data"]) == (query, "go")
    assert update["message"]["message_id"] == sent["message_id"]
    long = await bot.refused("answerCallbackQuery", callback_query_id=query, text="x" * 201)
    assert long == "Bad Request: MESSAGE_TOO_LONG"
    await bot.ok("answerCallbackQuery", callback_query_id=query, text="Done", show_alert=True)
    second = await bot.refused("answerCallbackQuery", callback_query_id=query)
    assert second == TOO_OLD
    toast = (await telegram.transcript())["toasts"][-1]
    assert (toast["text"], toast["show_alert"], toast["answered"]) == ("Done", True, True)
    _, tapped = await telegram.control("tap", **place, data="go")
    telegram.wall.seconds += 61
    late = await bot.refused("answerCallbackQuery", callback_query_id=tapped["callback_query_id"])
    assert late == TOO_OLD


async def test_a_tap_needs_a_button_of_the_current_keyboard(telegram: Telegram, bot: BotClient):
    """What no button says cannot be tapped, a link is refused with its address; forging is explicit."""
    markup = keyboard({"text": "Go", "callback_data": "go"}, {"text": "Web", "url": "http://a.b/"})
    sent = await bot.ok("sendMessage", chat_id=1001, text="x", reply_markup=markup)
    place = {"chat_id": 1001, "user_id": 1001, "message_id": sent["message_id"]}
    status, refusal = await telegram.control("tap", **place, text="Stop")
    assert status == 404
    assert "'Go', 'Web'" in refusal["error"]
    status, refusal = await telegram.control("tap", **place, text="Web")
    assert status == 400
    assert "http://a.b/" in refusal["error"]
    status, _ = await telegram.control("tap", **{**place, "message_id": 999}, data="go")
    assert status == 404
    await bot.ok("deleteMessage", chat_id=1001, message_id=sent["message_id"])
    status, _ = await telegram.control("tap", **place, data="go")
    assert status == 404
    status, _ = await telegram.control("tap", **place, data="other", forged=True)
    assert status == 200
    update = (await bot.ok("getUpdates"))[-1]["callback_query"]
    assert update["data"] == "other"
    assert update["message"] == {
        "chat": update["message"]["chat"],
        "message_id": sent["message_id"],
        "date": 0,
    }


async def test_pins_are_shown_and_announced(telegram: Telegram, bot: BotClient):
    """A pin is seen in the chat, announced by a service message, and can be taken away."""
    first = await bot.ok("sendMessage", chat_id=1001, text="first")
    second = await bot.ok("sendMessage", chat_id=1001, text="second")
    for message in (first, second):
        await bot.ok("pinChatMessage", chat_id=1001, message_id=message["message_id"])
    update = (await bot.ok("getUpdates"))[-1]["message"]
    assert update["pinned_message"]["text"] == "second"
    assert (await bot.ok("getChat", chat_id=1001))["pinned_message"]["text"] == "second"
    await bot.ok("unpinChatMessage", chat_id=1001)
    shown = (await telegram.transcript())["messages"]
    assert [message["text"] for message in shown if message["pinned"]] == ["first"]
    await bot.ok("unpinAllChatMessages", chat_id=1001)
    assert "pinned_message" not in await bot.ok("getChat", chat_id=1001)
    found = await bot.refused("pinChatMessage", chat_id=1001, message_id=999)
    assert found == "Bad Request: message to pin not found"
    found = await bot.refused("unpinChatMessage", chat_id=1001)
    assert found == "Bad Request: message to unpin not found"


async def test_a_blocked_bot_is_forbidden_to_write(telegram: Telegram, bot: BotClient):
    """A user who blocks the bot is out of reach until they write again."""
    status, _ = await telegram.control("chats", id=1001, blocked=True)
    assert status == 200
    text = await bot.refused("sendMessage", chat_id=1001, text="x")
    assert text == "Forbidden: bot was blocked by the user"
    await telegram.say("back")
    await bot.ok("sendMessage", chat_id=1001, text="x")
    kinds = [next(k for k in u if k != "update_id") for u in await bot.ok("getUpdates")]
    assert kinds == ["message", "my_chat_member", "my_chat_member", "message"]
    await telegram.control("chats", id=1001, deactivated=True)
    text = await bot.refused("sendMessage", chat_id=1001, text="x")
    assert text == "Forbidden: user is deactivated"


@pytest.mark.parametrize("kind", ["group", "supergroup", "forum", "channel"])
async def test_groups_and_channels_have_every_bot_as_administrator(
    telegram: Telegram, bot: BotClient, kind: str
):
    """A made chat takes messages of people and bots, and tells who belongs to it."""
    status, made = await telegram.control("chats", id=-100500, type=kind, title="ChatServices")
    assert (status, made["title"]) == (200, "ChatServices")
    await telegram.say("hello", user_id=1002, chat_id=-100500)
    update = (await bot.ok("getUpdates"))[-1]
    assert ("channel_post" in update) == (kind == "channel")
    sent = await bot.ok("sendMessage", chat_id=-100500, text="hi", message_thread_id=7)
    assert ("sender_chat" in sent) == (kind == "channel")
    me = await bot.ok("getMe")
    member = await bot.ok("getChatMember", chat_id=-100500, user_id=me["id"])
    assert member["status"] == "administrator"
    assert (await bot.ok("getChatMember", chat_id=-100500, user_id=1002))["status"] == "member"
    assert (await bot.ok("getChatMember", chat_id=-100500, user_id=1001))["status"] == "left"
    assert len(await bot.ok("getChatAdministrators", chat_id=-100500)) == 1
    assert await bot.ok("getChatMemberCount", chat_id=-100500) == 2
    origin = await bot.ok(
        "forwardMessage", chat_id=1001, from_chat_id=-100500, message_id=sent["message_id"]
    )
    assert origin["forward_origin"]["type"] == ("channel" if kind == "channel" else "user")


async def test_photos_and_documents_can_be_fetched_again(telegram: Telegram, bot: BotClient):
    """An upload comes back byte for byte under its encoded path, and can be sent by its id."""
    url = f"{telegram.root}/bot{TOKEN}/sendPhoto"
    form = aiohttp.FormData()
    form.add_field("chat_id", "1001")
    form.add_field("photo", "attach://pic")
    form.add_field("caption", "<b>now</b>")
    form.add_field("parse_mode", "HTML")
    form.add_field("pic", png(), filename="p.png", content_type="image/png")
    async with telegram.session.post(url, data=form) as answer:
        body = await answer.json()
        check("sendPhoto", answer.status, body)
    photo = body["result"]["photo"][0]
    assert (photo["width"], photo["height"], photo["file_size"]) == (3, 2, len(png()))
    assert body["result"]["caption_entities"][0]["type"] == "bold"
    path = (await bot.ok("getFile", file_id=photo["file_id"]))["file_path"]
    encoded = f"{telegram.root}/file/bot{TOKEN.replace(':', '%3A')}/{path}"
    async with telegram.session.get(encoded) as answer:
        assert await answer.read() == png()
    again = await bot.ok("sendPhoto", chat_id=1001, photo=photo["file_id"])
    assert again["photo"][0]["file_id"] == photo["file_id"]
    edited = await bot.ok(
        "editMessageCaption", chat_id=1001, message_id=again["message_id"], caption="later"
    )
    assert edited["caption"] == "later"
    wrong = await bot.refused("editMessageText", chat_id=1001, message_id=1, text="x")
    assert wrong == "Bad Request: message can't be edited"
    found = await bot.refused(
        "editMessageText", chat_id=1001, message_id=again["message_id"], text="x"
    )
    assert found == "Bad Request: there is no text in the message to edit"
    form = aiohttp.FormData()
    form.add_field("chat_id", "1001")
    form.add_field("document", b"a,b\r\n--1,2\r\n", filename="day.csv", content_type="text/csv")
    async with telegram.session.post(f"{telegram.root}/bot{TOKEN}/sendDocument", data=form) as got:
        body = await got.json()
        check("sendDocument", got.status, body)
        assert body["result"]["document"]["file_name"] == "day.csv"
        assert body["result"]["document"]["file_size"] == 12
    copied = await bot.ok(
        "copyMessage", chat_id=1001, from_chat_id=1001, message_id=again["message_id"]
    )
    assert copied["message_id"] > again["message_id"]
    assert (await bot.refused("getFile", file_id="x")) == "Bad Request: invalid file_id"


async def test_the_narrowest_command_menu_wins(telegram: Telegram, bot: BotClient):
    """Commands are kept per scope and checked; the user's page shows the narrowest scope."""
    wide = [{"command": "start", "description": "Home"}]
    own = [{"command": "kill", "description": "Stop"}]
    scope = {"type": "chat", "chat_id": 1001}
    await bot.ok("setMyCommands", commands=wide)
    await bot.ok("setMyCommands", commands=own, scope=scope)
    assert await bot.ok("getMyCommands") == wide
    assert await bot.ok("getMyCommands", scope=scope) == own
    await bot.ok("deleteMyCommands", scope=scope)
    assert await bot.ok("getMyCommands", scope=scope) == []
    for command, text in (
        ({"command": "Bad-Name", "description": "x"}, "BOT_COMMAND_INVALID"),
        ({"command": "x", "description": ""}, "BOT_COMMAND_DESCRIPTION_INVALID"),
    ):
        found = await bot.refused("setMyCommands", commands=[command])
        assert found == f"Bad Request: {text}"
    assert (await bot.ok("getChatMenuButton", chat_id=1001)) == {"type": "commands"}
    await bot.ok("setChatMenuButton", chat_id=1001, menu_button={"type": "commands"})
    for name, key in (
        ("Name", "name"),
        ("Description", "description"),
        ("ShortDescription", "short_description"),
    ):
        await bot.ok(f"setMy{name}", **{key: "ChatServices bot"})
        assert await bot.ok(f"getMy{name}") == {key: "ChatServices bot"}


async def test_the_transcript_shows_what_a_user_sees(telegram: Telegram, bot: BotClient):
    """Each message has its sender, text, entities, keyboard and marks; `after` leaves older ones out."""
    prompt = await bot.ok(
        "sendMessage",
        chat_id=1001,
        text="<b>API key?</b>",
        parse_mode="HTML",
        reply_markup={"force_reply": True, "input_field_placeholder": "16 letters"},
        protect_content=True,
    )
    answer = await telegram.say("key", reply_to=prompt["message_id"])
    await bot.ok(
        "sendMessage",
        chat_id=1001,
        text="ok",
        reply_markup=keyboard({"text": "Copy", "copy_text": {"text": "1"}, "style": "primary"}),
    )
    update = (await bot.ok("getUpdates"))[-1]["message"]
    assert update["reply_to_message"]["message_id"] == prompt["message_id"]
    shown = (await telegram.transcript(after=prompt["message_id"] - 1))["messages"]
    assert [message["from"] for message in shown] == ["bot", "user", "bot"]
    asked, replied, last = shown
    assert asked["prompt"]["force_reply"]
    assert asked["protected"]
    assert asked["entities"] == [{"type": "bold", "offset": 0, "length": 8}]
    assert (replied["id"], replied["reply_to"]) == (answer, prompt["message_id"])
    assert last["keyboard"] == [[{"text": "Copy", "copy_text": "1", "style": "primary"}]]
    assert await telegram.transcript(5) == {"chat": None, "messages": [], "toasts": []}


async def test_control_says_what_is_wrong(telegram: Telegram):
    """A control request that cannot be done is answered with a reason and no effect."""
    status, body = await telegram.control("send", chat_id=1001, user_id=1001, text="x")
    assert (status, body["error"]) == (409, "no bot has called the Bot API yet")
    await telegram.bot().ok("getMe")
    for wanted, expected in (
        ({"chat_id": 1, "user_id": 2, "text": "x"}, 400),
        ({"chat_id": "x", "user_id": 2, "text": "x"}, 400),
        ({"chat_id": -9, "user_id": 2, "text": "x"}, 404),
        ({"chat_id": 2, "user_id": 2, "text": " "}, 400),
        ({"chat_id": 2, "user_id": 2, "text": "x", "reply_to": 9}, 404),
        ({"chat_id": 2, "user_id": 2, "text": "x", "bot_id": 9}, 404),
    ):
        status, body = await telegram.control("send", **wanted)
        assert status == expected, body
        assert body["error"]
    assert (await telegram.control("chats", id=5, type="group"))[0] == 400


async def test_a_chat_action_is_accepted_and_checked(bot: BotClient):
    """Only the known actions are taken."""
    await bot.ok("sendChatAction", chat_id=1001, action="typing")
    found = await bot.refused("sendChatAction", chat_id=1001, action="dancing")
    assert found == "Bad Request: wrong parameter action in request"
