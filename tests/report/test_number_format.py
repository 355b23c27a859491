import math

import pytest

from lipschitz.report.number_format import show, show_interval, show_range


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.123"),
        (12.3456, "12.3"),
        (1234.5, "1230"),
        (8.0, "8"),
        (0.0, "0"),
        (0.99999, "1.00"),
        (99.96, "100"),
        (0.00009996, "0.000100"),
        (999999.6, "1.00e+06"),
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
        (0.5, 0.0996, "0.50 ± 0.10"),
        # Two digits of the interval would leave the mean one, or none.
        (153.2, 1040.0, "150 ± 1040"),
        (0.85, 12.0, "0.8 ± 12.0"),
        (-0.001, 0.5, "-0.001 ± 0.500"),
        (0.0, 0.5, "0.00 ± 0.50"),
        # An interval without any spread, or of rounding errors.
        (8.0, 0.0, "8 ± 0"),
        (2.22e-31, 4.5e-31, "0 ± 0"),
        (123456.7, 0.01, "123457 ± 0"),
        (0.5, math.nan, "0.500"),
        (math.nan, math.nan, "–"),
        # Never different decimal places, never two exponents.
        (0.00011466, 1.9e-5, "0.000115 ± 0.000019"),
        (0.99994, 5.8e-5, "0.999940 ± 0.000058"),
        (1.0000001, 2.2e-6, "1.0000001 ± 0.0000022"),
        (8.14e-5, 3.5e-4, "0.000081 ± 0.000350"),
        (1.23e6, 12.0, "(1.230000 ± 0.000012)e+06"),
        (3.24e6, 5e4, "(3.240 ± 0.050)e+06"),
        (1.5e-7, 2e-8, "(1.50 ± 0.20)e-07"),
        (9.9996e-5, 2e-6, "0.0001000 ± 0.0000020"),
        (999999.6, 3.0, "999999.6 ± 3.0"),
    ],
)
def test_the_interval_determines_the_digits_of_the_mean(mean: float, ci95: float, text: str) -> None:
    assert show_interval(mean, ci95) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.7154, 0.670, 0.764, "0.715 [0.670, 0.764]"),
        (0.98, 0.91, 1.05, "0.980 [0.910, 1.050]"),
        (1234.0, 1100.0, 1380.0, "1230 [1100, 1380]"),
        # Over orders of magnitude each number has digits of its own.
        (0.39, 0.12, 1.27, "0.39 [0.12, 1.3]"),
        (12.0, 0.001, 1e5, "12 [0.0010, 100000]"),
        (5.3e-10, 2.9e-10, 9.8e-10, "5.3e-10 [2.9e-10, 9.8e-10]"),
        (3e-5, 1e-7, 9e-3, "3.0e-05 [1.0e-07, 0.0090]"),
        (5.3e-10, 5.21e-10, 5.39e-10, "5.300e-10 [5.210e-10, 5.390e-10]"),
        (1.0, 1.0, 1.0, "1 ± 0"),
        (0.0, math.nan, math.nan, "0"),
        (0.34, math.nan, math.nan, "0.340"),
    ],
)
def test_an_interval_with_ends_of_its_own(value: float, low: float, high: float, text: str) -> None:
    assert show_range(value, low, high) == text
