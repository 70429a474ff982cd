"""A share that is carried on margin is named by the word that both brokers have for it."""

from __future__ import annotations

import pytest

from bot.views.lines import brief, held_lines, order_line, order_terms, position_line, product_words
from core.domain.instrument import InstrumentId, Product
from core.domain.notices.notice import Notice
from core.domain.notices.positions import ContractEnds, PositionConverted, PositionDisputed
from tests.fakes.rendered import ACCOUNT, text_of
from tests.fakes.views import AT, a_position, an_account, an_order

SHARE, OPTION = InstrumentId("NSE", "SBIN"), InstrumentId("NFO", "NIFTY25NOV24500CE")


@pytest.mark.parametrize(
    ("instrument", "product", "word"),
    [
        (SHARE, Product.NRML, "MTF"),
        (InstrumentId("BSE", "SBIN"), Product.NRML, "MTF"),
        (SHARE, Product.MIS, "MIS"),
        (SHARE, Product.CNC, "CNC"),
        (OPTION, Product.NRML, "NRML"),
    ],
)
def test_product_has_the_brokers_word(
    instrument: InstrumentId, product: Product, word: str
) -> None:
    """A share is never NRML at a broker, an option never MTF; a text that names both says so too."""
    assert product_words(instrument, product) == word
    assert brief(f"Sell 10 {instrument} {product}").endswith(f" {word}")
    assert brief(f"orb: +10 {instrument} ({product})").endswith(f" ({word})")


def test_rows_of_a_share_on_margin_say_so() -> None:
    """Positions, orders and what is held carry the broker's word."""
    held = a_position(an_account(), instrument=SHARE, product=Product.NRML)
    order = an_order(an_account(), instrument=SHARE, product=Product.NRML)
    for text in (
        position_line(held),
        *held_lines([held]),
        order_line(order),
        order_terms(order),
    ):
        assert "MTF" in text
        assert "NRML" not in text


@pytest.mark.parametrize(
    ("notice", "said"),
    [
        (PositionDisputed(ACCOUNT.broker_id, "NSE:SBIN", "NRML", 5, 0), "5 SBIN MTF are held"),
        (
            PositionConverted(ACCOUNT.broker_id, "NSE:SBIN", "NRML", "CNC", 5, ()),
            "went from MTF to CNC",
        ),
        (
            ContractEnds(ACCOUNT.broker_id, "orb", str(OPTION), "NRML", 75, AT),
            "+75 NIFTY25NOV24500CE NRML of orb",
        ),
    ],
)
async def test_notices_have_the_brokers_word(notice: Notice, said: str) -> None:
    """What was found at the broker is told in the words that its app has."""
    assert said in await text_of(notice)
