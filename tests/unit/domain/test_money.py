"""Amounts as people in India read them (row E6)."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.money import group_lakh, rupees, signed_rupees

pytestmark = pytest.mark.row("E6")


@pytest.mark.parametrize(
    ("amount", "text", "whole"),
    [
        ("0", "₹0.00", "₹0"),
        ("999.5", "₹999.50", "₹1,000"),
        ("1000", "₹1,000.00", "₹1,000"),
        ("99999.99", "₹99,999.99", "₹1,00,000"),
        ("100000", "₹1,00,000.00", "₹1,00,000"),
        ("12345678.905", "₹1,23,45,678.91", "₹1,23,45,679"),
        ("-1234567.5", "-₹12,34,567.50", "-₹12,34,568"),
        ("1000000000", "₹1,00,00,00,000.00", "₹1,00,00,00,000"),
        ("-0.004", "₹0.00", "₹0"),
        ("2.5", "₹2.50", "₹3"),
    ],
)
def test_rupees_are_grouped_in_lakhs_and_crores(amount: str, text: str, whole: str) -> None:
    """With paise or rounded to whole rupees, halves away from zero; zero has no sign."""
    assert rupees(Decimal(amount)) == text
    assert rupees(Decimal(amount), paise=False) == whole


@pytest.mark.parametrize(
    ("amount", "text", "whole"),
    [
        ("250", "+₹250.00", "+₹250"),
        ("-1000", "-₹1,000.00", "-₹1,000"),
        ("0", "₹0.00", "₹0"),
        ("0.004", "₹0.00", "₹0"),
        ("-0.004", "₹0.00", "₹0"),
        ("0.4", "+₹0.40", "₹0"),
        ("-0.4", "-₹0.40", "₹0"),
    ],
)
def test_a_result_has_a_sign_unless_it_reads_as_zero(amount: str, text: str, whole: str) -> None:
    """A gain of less than what is shown is no gain, as such a loss is no loss."""
    assert signed_rupees(Decimal(amount)) == text
    assert signed_rupees(Decimal(amount), paise=False) == whole


@given(st.integers(0, 10**15))
def test_groups_are_of_two_digits_and_the_last_of_three(number: int) -> None:
    """Nothing of the number is lost."""
    text = group_lakh(str(number))
    assert text.replace(",", "") == str(number)
    assert re.fullmatch(r"\d{1,3}|\d{1,2}(,\d\d)*,\d{3}", text)
