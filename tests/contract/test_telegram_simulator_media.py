"""Photos, documents and albums of the simulated Telegram, through the client that the bot uses.

The refusals are those of the public server's sources; python-telegram-bot shows them without their
prefix and with a capital letter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    Message,
)
from telegram.error import BadRequest

from tests.fakes.bot_api import TOKEN, Telegram, png, serve_telegram

OTHER = "7000000002:another_bot"
CSV = b"symbol,profit\nSBIN,150\n"
CHAT = 1001


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    async with serve_telegram() as server:
        yield server


def client(telegram: Telegram, token: str = TOKEN) -> Bot:
    return Bot(token, base_url=f"{telegram.root}/bot", base_file_url=f"{telegram.root}/file/bot")


@pytest.fixture
async def bot(telegram: Telegram) -> AsyncIterator[Bot]:
    async with client(telegram) as found:
        await telegram.say("/start")
        yield found


async def content_of(bot: Bot, file_id: str) -> bytes:
    return bytes(await (await bot.get_file(file_id)).download_as_bytearray())


async def albums(telegram: Telegram) -> list[list[str]]:
    """Return the ids of the chat's files, album by album as a user sees them."""
    found: dict[Any, list[str]] = {}
    for one in (await telegram.transcript())["messages"]:
        file = one["photo"] or one["document"]
        if file:
            found.setdefault(one["album"] or one["id"], []).append(file["file_id"])
    return list(found.values())


async def test_what_is_sent_comes_back_byte_for_byte(bot: Bot) -> None:
    """A photo with its measures and spoiler, a document with name, type and thumbnail; both by id again."""
    photo = await bot.send_photo(
        CHAT, png(40, 30), caption="<b>Day</b>", parse_mode="HTML", has_spoiler=True
    )
    size = photo.photo[-1]
    assert (size.width, size.height, photo.has_media_spoiler) == (40, 30, True)
    assert photo.caption_html == "<b>Day</b>"
    assert await content_of(bot, size.file_id) == png(40, 30)
    sent = await bot.send_document(CHAT, CSV, filename="day.csv", thumbnail=png(9, 9))
    assert sent.document is not None and sent.document.thumbnail is not None
    assert (sent.document.file_name, sent.document.mime_type) == ("day.csv", "text/csv")
    assert await content_of(bot, sent.document.file_id) == CSV
    assert sent.document.thumbnail.width == 9
    again = await bot.send_photo(CHAT, size.file_id, caption="up", show_caption_above_media=True)
    assert again.photo[-1].file_unique_id == size.file_unique_id
    assert again.show_caption_above_media is True


async def test_an_album_is_one_thing_of_several_messages(telegram: Telegram, bot: Bot) -> None:
    """Its messages share a group and keep captions of their own; copies and forwards are albums again."""
    media = [
        InputMediaPhoto(png(side, 3), caption=f"<i>{side}</i>", parse_mode="HTML")
        for side in (4, 5, 6)
    ]
    sent = await bot.send_media_group(CHAT, media)
    assert len({one.media_group_id for one in sent}) == 1 and sent[0].media_group_id
    assert [one.caption_html for one in sent] == ["<i>4</i>", "<i>5</i>", "<i>6</i>"]
    assert await content_of(bot, sent[2].photo[-1].file_id) == png(6, 3)
    files = [InputMediaDocument(CSV, filename=name) for name in ("a.csv", "b.csv")]
    pair = await bot.send_media_group(CHAT, files, caption="both")
    assert [one.caption for one in pair] == ["both", None]
    (alone,) = await bot.send_media_group(CHAT, [InputMediaPhoto(png())])
    assert alone.media_group_id is None
    ids = [one.message_id for one in sent[:2]]
    await bot.copy_messages(CHAT, CHAT, ids, remove_caption=True)
    await bot.forward_messages(CHAT, CHAT, ids)
    seen = await albums(telegram)
    assert [len(one) for one in seen] == [3, 2, 1, 2, 2]
    assert seen[3] == seen[4] == [one.photo[-1].file_id for one in sent[:2]]


async def test_media_and_captions_are_edited(bot: Bot) -> None:
    """A photo becomes a document and a text a photo; the old caption goes, and the keyboard with it."""
    keys = InlineKeyboardMarkup([[InlineKeyboardButton("More", callback_data="m")]])
    first = await bot.send_photo(CHAT, png(), caption="old", reply_markup=keys)
    place: dict[str, Any] = {"chat_id": CHAT, "message_id": first.message_id}
    new = InputMediaDocument(CSV, filename="day.csv", caption="*new*", parse_mode="MarkdownV2")
    edited = await bot.edit_message_media(new, **place)
    assert isinstance(edited, Message) and edited.document is not None
    assert (edited.photo, edited.caption_html, edited.reply_markup) == ((), "<b>new</b>", None)
    edited = await bot.edit_message_media(InputMediaPhoto(png(8, 8)), **place, reply_markup=keys)
    assert isinstance(edited, Message) and edited.caption is None
    assert (edited.photo[-1].width, edited.reply_markup) == (8, keys)
    edited = await bot.edit_message_caption(**place, caption="x" * 1024, reply_markup=keys)
    assert isinstance(edited, Message) and len(edited.caption or "") == 1024
    text = await bot.send_message(CHAT, "soon")
    chart = await bot.edit_message_media(
        InputMediaPhoto(png()), chat_id=CHAT, message_id=text.message_id
    )
    assert isinstance(chart, Message) and (chart.text, len(chart.photo)) == (None, 1)


async def refusal(call: Any) -> str:
    with pytest.raises(BadRequest) as refused:
        await call
    return refused.value.message


async def test_the_refusals_of_media_are_telegrams(telegram: Telegram, bot: Bot) -> None:
    """Captions, sizes, measures, empty and foreign files: each in the words of the public server."""
    long = "x" * 1025
    assert await refusal(bot.send_photo(CHAT, png(), caption=long)) == "Message caption is too long"
    assert await refusal(bot.send_photo(CHAT, CSV)) == "Image_process_failed"
    assert await refusal(bot.send_photo(CHAT, png(101, 2))) == "Photo_invalid_dimensions"
    heavy = png() + bytes(10 * 1024 * 1024)
    assert await refusal(bot.send_photo(CHAT, heavy)) == (
        f"File of size {len(heavy)} bytes is too big for a photo; the maximum size is 10485760 bytes"
    )
    assert await refusal(bot.send_document(CHAT, b"", filename="e")) == "File must be non-empty"
    wrong = "Wrong file identifier/http url specified"
    assert await refusal(bot.send_photo(CHAT, "AgACAgIAAx")) == wrong
    assert await refusal(bot.send_photo(CHAT, "https://127.0.0.1/x.png")) == (
        "Failed to get http url content"
    )
    photo = await bot.send_photo(CHAT, png())
    file_id = photo.photo[-1].file_id
    assert await refusal(bot.send_document(CHAT, file_id)) == (
        "Can't use file of type photo as document"
    )
    async with client(telegram, OTHER) as other:
        await telegram.say("/start", bot_id=7000000002)
        assert await refusal(other.send_photo(CHAT, file_id)) == wrong
        assert await refusal(other.get_file(file_id)) == "Invalid file_id"
        path = (await bot.get_file(file_id)).file_path
        assert path is not None
        foreign = path.replace(TOKEN.replace(":", "%3A"), OTHER).replace(TOKEN, OTHER)
        async with telegram.session.get(foreign) as answer:
            assert answer.status == 404


async def test_the_refusals_of_albums_and_edits_are_telegrams(telegram: Telegram, bot: Bot) -> None:
    """Too many, mixed, unreadable; an album keeps its kind, and nobody edits another's media."""
    raw = telegram.bot()
    photo = {"type": "photo", "media": (await bot.send_photo(CHAT, png())).photo[-1].file_id}
    sent = await bot.send_document(CHAT, CSV, filename="a.csv")
    assert sent.document is not None
    paper = {"type": "document", "media": sent.document.file_id}
    for media, said in (
        (None, 'parameter "media" is required'),
        ("[", "can't parse media JSON object"),
        ("{}", "expected an Array of InputMedia"),
        ([], "there are no messages to send"),
        ([photo] * 11, "too many messages to send as an album"),
        ([photo, paper], "document can't be mixed with other media types"),
        (["x"], "can't parse InputMedia: expected an Object"),
        ([{"type": "photo"}], "can't parse InputMedia: media not found"),
        (
            [{"type": "animation", "media": "x"}],
            "can't parse InputMedia: type \"animation\" can't be used in sendMediaGroup",
        ),
        ([photo, {**photo, "media": "attach://no"}], "can't parse InputMedia: media not found"),
        (
            [{**photo, "caption": "a", "show_caption_above_media": True}, photo],
            "parameter show_caption_above_media must be the same for all messages",
        ),
    ):
        assert (
            await raw.refused("sendMediaGroup", chat_id=CHAT, media=media) == f"Bad Request: {said}"
        )
    spoilt = [InputMediaPhoto(png()), InputMediaPhoto(CSV)]
    assert (await refusal(bot.send_media_group(CHAT, spoilt))).lower() == (
        'failed to send message #2 with the error message "image_process_failed"'
    )

    album = await bot.send_media_group(CHAT, [InputMediaPhoto(png()), InputMediaPhoto(png(5, 5))])
    place: dict[str, Any] = {"chat_id": CHAT, "message_id": album[0].message_id}
    assert await raw.refused("editMessageMedia", **place, media=paper) == (
        "Bad Request: can't change media type in the album"
    )
    same = {"type": "photo", "media": album[0].photo[-1].file_id}
    assert (await raw.refused("editMessageMedia", **place, media=same)).startswith(
        "Bad Request: message is not modified: specified new message content"
    )
    assert await raw.refused("editMessageMedia", **place, media={"type": "x", "media": "y"}) == (
        'Bad Request: can\'t parse InputMedia: type "x" is unsupported'
    )
    assert await raw.refused("editMessageMedia", chat_id=CHAT, message_id=1, media=photo) == (
        "Bad Request: message media can't be edited"
    )
    assert await raw.refused("editMessageMedia", chat_id=CHAT, message_id=999, media=photo) == (
        "Bad Request: message to edit not found"
    )
    await raw.ok("editMessageMedia", **place, media=photo)


async def test_a_user_sends_files_and_the_bot_reads_them(telegram: Telegram, bot: Bot) -> None:
    """Pictures come as photos, or as documents when asked; several come as an album, each an update."""
    pictures = {"a": ("a.png", png(7, 7), "image/png"), "b": ("b.png", png(8, 8), "image/png")}
    assert await telegram.upload(caption="look", **pictures) == 200
    assert await telegram.upload(f=("day.csv", CSV, "text/csv")) == 200
    assert await telegram.upload(as_documents="true", f=pictures["a"]) == 200
    assert await telegram.upload() == 400
    updates = [one.message for one in await bot.get_updates() if one.message]
    photos, papers = updates[1:3], updates[3:]
    assert [one.caption for one in photos] == ["look", None]
    assert len({one.media_group_id for one in photos}) == 1 and photos[0].media_group_id
    assert await content_of(bot, photos[1].photo[-1].file_id) == png(8, 8)
    assert [one.document.file_name for one in papers if one.document] == ["day.csv", "a.png"]
    assert papers[0].document is not None
    assert await content_of(bot, papers[0].document.file_id) == CSV
