"""Money: minor units inside, decimal numbers outside."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.money import BadAmountError, to_minor, to_text


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1899, "EUR", "18.99"),
        (0, "EUR", "0.00"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (1899, "JPY", "1899"),
        (1899, "KWD", "1.899"),
        (10**20, "USD", "1000000000000000000.00"),
    ],
)
def test_an_amount_is_shown_with_its_currencys_digits(minor: int, currency: str, text: str) -> None:
    assert to_text(minor, currency) == text


@given(st.integers(-(10**15), 10**15), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_an_amount_comes_back_from_its_text(minor: int, currency: str) -> None:
    assert to_minor(Decimal(to_text(minor, currency)), currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"), [("18.999", "EUR"), ("0.5", "JPY"), ("NaN", "EUR"), ("Infinity", "EUR")]
)
def test_what_a_currency_cannot_express_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(BadAmountError):
        to_minor(Decimal(amount), currency)
