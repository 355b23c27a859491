"""Numbers as text: as many digits as their interval supports."""

import math

MISSING = "–"
_PLAIN_MAGNITUDES = range(-4, 6)
"""Powers of ten within which a number is printed without an exponent."""
_ROUNDING_ERROR = 1e-24
"""A smaller number is printed as zero: it is a float64 rounding error, or the square of one (about 1e-31)."""


def show(value: float, digits: int = 3) -> str:
    """Return ``value`` to ``digits`` significant digits, ∞ if it is infinite, a dash if it is missing (NaN or -∞)."""
    if value == math.inf:
        return "∞"
    if not math.isfinite(value):
        return MISSING
    value = _rounded(value)
    if value == int(value) and abs(value) < 10**digits:
        return str(int(value))
    magnitude = _magnitude(value)
    if magnitude not in _PLAIN_MAGNITUDES:
        return f"{value:.{digits - 1}e}"
    return _fixed(value, digits - 1 - magnitude)


def show_interval(mean: float, half_width: float) -> str:
    """Return ``mean ± half_width``, the half-width to two significant digits and the mean to the same decimal place.

    Without an interval (NaN, as for one seed) return the mean alone, to three significant digits.
    """
    if not (math.isfinite(mean) and math.isfinite(half_width)):
        return show(mean)
    mean, half_width = _rounded(mean), _rounded(half_width)
    if half_width == 0 or half_width < abs(mean) * 1e-6:
        return f"{show(mean)} ± 0"
    if {_magnitude(mean), _magnitude(half_width)} - set(_PLAIN_MAGNITUDES) and mean != 0:
        text = _fixed(mean, 4 - _magnitude(mean)) if _magnitude(mean) in _PLAIN_MAGNITUDES else f"{mean:.2e}"
        return f"{text} ± {half_width:.1e}"
    places = 1 - _magnitude(half_width)
    return f"{_fixed(mean, places)} ± {_fixed(half_width, places)}"


def _rounded(value: float) -> float:
    return 0.0 if abs(value) < _ROUNDING_ERROR else value


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _fixed(value: float, places: int) -> str:
    """Round to ``places`` after the point; a negative number of places rounds to tens, hundreds, ..."""
    text = f"{round(value, places):.{max(places, 0)}f}"
    return text.removeprefix("-") if float(text) == 0 else text
