import math

import pytest

from lipschitz.report.number_format import show, show_interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.123"),
        (12.3456, "12.3"),
        (1234.5, "1230"),
        (8.0, "8"),
        (0.0, "0"),
        (1.2345e-7, "1.23e-07"),
        (2.2e-31, "0"),
        (math.nan, "–"),
        (math.inf, "∞"),
    ],
)
def test_a_number_without_interval_has_three_digits(value: float, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("mean", "ci95", "text"),
    [
        (0.31249, 0.01234, "0.312 ± 0.012"),
        (0.31249, 0.1234, "0.31 ± 0.12"),
        (12345.6, 678.9, "12350 ± 680"),
        (0.85, 12.0, "1 ± 12"),
        (-0.001, 0.5, "0.00 ± 0.50"),
        (8.0, 0.0, "8 ± 0"),
        (0.5, math.nan, "0.500"),
        (math.nan, math.nan, "–"),
        (1.5e-7, 2e-8, "1.50e-07 ± 2.0e-08"),
        (2.22e-31, 4.5e-31, "0 ± 0"),
        (1.0000001, 2.2e-6, "1.0000 ± 2.2e-06"),
    ],
)
def test_the_interval_determines_the_digits_of_the_mean(mean: float, ci95: float, text: str) -> None:
    assert show_interval(mean, ci95) == text
