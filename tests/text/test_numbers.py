"""Shares and quantities as text."""

import pytest

from hcat_core.text.numbers import percent, percent_range, quantity


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12, "12.0"),
        (6.2, "6.20"),
        (0.01234, "0.0123"),
        (123.4, "123"),
        (1234567, "1234567"),
        (-9.99, "-9.99"),
    ],
)
def test_a_quantity_has_three_digits_and_no_powers_of_ten(value, text):
    assert quantity(value) == text


def test_zero_has_no_sign_and_no_decimals():
    assert (quantity(0), percent(-0.001), percent_range((-0.001, 0.126))) == ("0", "0 %", "0 to 13 %")
