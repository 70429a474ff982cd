"""Text as the Telegram simulator reads it: HTML, MarkdownV2 and what is found in plain text."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.telegram.errors import BotApiError
from sandbox.telegram.text import format_text

Flat = list[tuple[Any, ...]]


def flat(entities: list[dict[str, Any]]) -> Flat:
    rows: Flat = []
    for entity in entities:
        rest = [v for k, v in entity.items() if k not in {"type", "offset", "length"}]
        rows.append((entity["type"], entity["offset"], entity["length"], *rest))
    return rows


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("<b>a</b>", "a", [("bold", 0, 1)]),
        ("<B>a<em>b</em></B>", "ab", [("bold", 0, 2), ("italic", 1, 1)]),
        ("😀<i>x</i>", "😀x", [("italic", 2, 1)]),
        (
            "<u>a</u><s>b</s><del>c</del>",
            "abc",
            [("underline", 0, 1), ("strikethrough", 1, 1), ("strikethrough", 2, 1)],
        ),
        (
            "<tg-spoiler>a</tg-spoiler><span class='tg-spoiler'>b</span>",
            "ab",
            [("spoiler", 0, 1), ("spoiler", 1, 1)],
        ),
        ("a &lt;b&gt; &amp;&#36;&quot; &nope;", 'a <b> &$" &nope;', []),
        (
            '<a href="http://e.com?a=1&amp;b">x</a>',
            "x",
            [("text_link", 0, 1, "http://e.com?a=1&b")],
        ),
        ('<a href="http://e.com">x</a>', "x", [("text_link", 0, 1, "http://e.com/")]),
        (
            '<a href="tg://user?id=7">x</a>',
            "x",
            [("text_mention", 0, 1, {"is_bot": False, "first_name": "", "id": 7})],
        ),
        ('<a href="http://localhost">x</a>', "x", []),
        ("<pre>a\n b</pre>", "a\n b", [("pre", 0, 4)]),
        ('<pre><code class="language-py">x</code></pre>', "x", [("pre", 0, 1, "py")]),
        ("<code> x</code>", " x", [("code", 0, 2)]),
        (
            "<blockquote>a</blockquote><blockquote expandable>b</blockquote>",
            "ab",
            [("blockquote", 0, 1), ("expandable_blockquote", 1, 1)],
        ),
        (
            '<tg-time unix="1790000000" format="r">soon</tg-time>',
            "soon",
            [("date_time", 0, 4, 1790000000, "r")],
        ),
        ("<b></b>x", "x", []),
        ("  <b> x </b>  ", "x", [("bold", 0, 1)]),
    ],
)
def test_html(source: str, text: str, entities: Flat):
    """Tags become entities with UTF-16 offsets, references their characters."""
    formatted = format_text(source, "html")
    assert (formatted.text, flat(formatted.entities)) == (text, entities)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a<x>b", 'Unsupported start tag "x" at byte offset 1'),
        ("₹<x>", 'Unsupported start tag "x" at byte offset 3'),
        ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<b><i>a</b>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("1 < 2", 'Unsupported start tag "" at byte offset 2'),
        ("a<b", "Unclosed start tag at byte offset 1"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_wrong_html(source: str, text: str):
    """Wrong markup is refused with the byte offset where it went wrong."""
    with pytest.raises(BotApiError) as refusal:
        format_text(source, "HTML")
    assert refusal.value.description == f"Bad Request: can't parse entities: {text}"


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        (
            "*a* _b_ __c__ ~d~ ||e||",
            "a b c d e",
            [
                ("bold", 0, 1),
                ("italic", 2, 1),
                ("underline", 4, 1),
                ("strikethrough", 6, 1),
                ("spoiler", 8, 1),
            ],
        ),
        ("*a _b_ c*", "a b c", [("bold", 0, 5), ("italic", 2, 1)]),
        (r"1\.5 \- x\_y", "1.5 - x_y", []),
        ("`a_b*`", "a_b*", [("code", 0, 4)]),
        ("```py\nx = 1\n```", "x = 1", [("pre", 0, 5, "py")]),
        ("```\na\n```", "a", [("pre", 0, 1)]),
        (r"[x](http://e.com/a\)b)", "x", [("text_link", 0, 1, "http://e.com/a)b")]),
        ("![now](tg://time?unix=5&format=t)", "now", [("date_time", 0, 3, 5, "t")]),
        (">a\n>b\nc", "a\nb\nc", [("blockquote", 0, 4)]),
        ("**>a\n>b||", "a\nb", [("expandable_blockquote", 0, 3)]),
        ("*a\nb*", "a\nb", [("bold", 0, 3)]),
    ],
)
def test_markdown_v2(source: str, text: str, entities: Flat):
    """Markup becomes entities, escapes their characters, quotes may span lines."""
    formatted = format_text(source, "MarkdownV2")
    assert (formatted.text, flat(formatted.entities)) == (text, entities)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("1.5", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("a > b", "Character '>' is reserved and must be escaped with the preceding '\\'"),
        ("ab *c", "Can't find end of Bold entity at byte offset 3"),
        ("```x", "Can't find end of Pre entity at byte offset 0"),
        ("[x](http://e", "Can't find end of a URL at byte offset 4"),
    ],
)
def test_wrong_markdown_v2(source: str, text: str):
    """An unescaped reserved character or an open entity is refused."""
    with pytest.raises(BotApiError) as refusal:
        format_text(source, "MarkdownV2")
    assert refusal.value.description == f"Bad Request: can't parse entities: {text}"


@pytest.mark.parametrize(
    ("source", "entities"),
    [
        ("see http://127.0.0.1:8443/a?b=c.", [("url", 4, 27)]),
        (
            "kite.trade and example.com/x (t.me/y)",
            [("url", 0, 10), ("url", 15, 13), ("url", 30, 6)],
        ),
        ("RELIANCE.NS file.py", []),
        ("/start@saarthi_bot now /kill a/b", [("bot_command", 0, 18), ("bot_command", 23, 5)]),
        (
            "@asha #pnl #12 $NIFTY a@b.co",
            [("email", 22, 6), ("mention", 0, 5), ("hashtag", 6, 4), ("cashtag", 15, 6)],
        ),
        ("call +919876543210", [("phone_number", 5, 13)]),
    ],
)
def test_plain_text(source: str, entities: Flat):
    """Links, commands, tags and addresses are found without markup."""
    assert sorted(flat(format_text(source, None).entities)) == sorted(entities)


def test_nothing_is_found_inside_code():
    """Code and links are opaque to detection, bold is not."""
    formatted = format_text("<code>/kill a.com</code> <b>/start</b>", "HTML")
    assert flat(formatted.entities) == [("code", 0, 11), ("bold", 12, 6), ("bot_command", 12, 6)]


def test_the_limit_counts_after_markup():
    """A text of 4096 characters passes however long its markup is, one more does not."""
    assert len(format_text("<b>" + "x" * 4096 + "</b>", "HTML").text) == 4096
    with pytest.raises(BotApiError, match="message is too long"):
        format_text("x" * 4097, "HTML")


def test_given_entities_are_taken():
    """Entities may be sent instead of a parse mode, cut to the text."""
    given = [{"type": "bold", "offset": 0, "length": 99}, {"type": "unheard_of", "offset": 0}]
    assert flat(format_text("abc", None, given).entities) == [("bold", 0, 3)]
