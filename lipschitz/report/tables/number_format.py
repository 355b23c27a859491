"""How a number is printed: as many digits as its interval supports, and no more."""

import math

MISSING = "–"
_PLAIN = range(-4, 6)
_ROUNDING = 1e-24
"""Below it a number is what float64 leaves of zero: the square of a rounding error, some 1e-31."""


def show(value: float, digits: int = 3) -> str:
    """Return ``value`` to ``digits`` significant digits, ∞ where it has no bound, or a dash where it is missing."""
    if value == math.inf:
        return "∞"
    if not math.isfinite(value):
        return MISSING
    value = _rounded(value)
    if value == int(value) and abs(value) < 10**digits:
        return str(int(value))
    magnitude = _magnitude(value)
    if magnitude not in _PLAIN:
        return f"{value:.{digits - 1}e}"
    return _fixed(value, digits - 1 - magnitude)


def show_interval(mean: float, ci95: float) -> str:
    """Return ``mean ± ci95`` with the interval to two significant digits and the mean to the same place.

    Without an interval (one seed: NaN) the mean stands alone, to three significant digits.
    """
    if not (math.isfinite(mean) and math.isfinite(ci95)):
        return show(mean)
    mean, ci95 = _rounded(mean), _rounded(ci95)
    if ci95 == 0 or ci95 < abs(mean) * 1e-6:
        return f"{show(mean)} ± 0"
    if {_magnitude(mean), _magnitude(ci95)} - set(_PLAIN) and mean != 0:
        said = _fixed(mean, 4 - _magnitude(mean)) if _magnitude(mean) in _PLAIN else f"{mean:.2e}"
        return f"{said} ± {ci95:.1e}"
    places = 1 - _magnitude(ci95)
    return f"{_fixed(mean, places)} ± {_fixed(ci95, places)}"


def _rounded(value: float) -> float:
    return 0.0 if abs(value) < _ROUNDING else value


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _fixed(value: float, places: int) -> str:
    """Round to ``places`` after the point; a negative number of places rounds to tens, hundreds, ..."""
    text = f"{round(value, places):.{max(places, 0)}f}"
    return text.removeprefix("-") if float(text) == 0 else text
