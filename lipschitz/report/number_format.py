"""Numbers as text: as many digits as their interval supports.

One rule, after the Particle Data Group (Review of Particle Physics, Introduction, section 5.3): half of an interval has
two significant digits, and the number ends at the same decimal place.
"""

import math

MISSING = "–"
_PLAIN_MAGNITUDES = range(-4, 6)
"""Powers of ten within which a number is printed without an exponent."""
_ROUNDING_ERROR = 1e-24
"""A smaller number is printed as zero: it is a float64 rounding error, or the square of one (about 1e-31)."""
_NEGLIGIBLE = 1e-6
"""An interval whose half is a smaller share of the number is printed as zero."""


def show(value: float, digits: int = 3) -> str:
    """Return ``value`` to ``digits`` significant digits, ∞ if it is infinite, a dash if it is missing (NaN or -∞)."""
    if value == math.inf:
        return "∞"
    if not math.isfinite(value):
        return MISSING
    value = _without_rounding_error(value)
    if value == int(value) and abs(value) < 10**digits:
        return str(int(value))
    return _to_digits(value, digits)


def show_interval(mean: float, half_width: float) -> str:
    """Return ``mean ± half_width``; very large and small ones share an exponent: ``(1.50 ± 0.20)e-07``.

    The half-width has two significant digits, and three where the mean would keep fewer than two. Both end at the same
    decimal place. Without an interval (NaN, as for one seed) return the mean alone, to three significant digits.
    """
    if not (math.isfinite(mean) and math.isfinite(half_width)):
        return show(mean)
    mean, half_width = _without_rounding_error(mean), _without_rounding_error(half_width)
    if _is_negligible(half_width, mean):
        return f"{mean:.6g} ± 0"
    places = 1 - _magnitude(half_width, 2)
    leading = _magnitude(round(mean, places) or mean, 16)
    places += leading + places < 1
    exponent = max(leading, _magnitude(half_width, 2))
    if exponent in _PLAIN_MAGNITUDES:
        return f"{_fixed(mean, places)} ± {_fixed(half_width, places)}"
    mean, half_width = (float(f"{one:.15e}") / 10.0**exponent for one in (mean, half_width))
    return f"({_fixed(mean, places + exponent)} ± {_fixed(half_width, places + exponent)})e{exponent:+03d}"


def show_range(value: float, low: float, high: float) -> str:
    """Return ``value [low, high]``: an interval with ends of its own, as on the logarithmic scale.

    Half of the distance of the ends has two significant digits, and all three end at the same decimal place. Where this
    leaves ``value`` fewer than three digits, the interval is wide, and each of the three has two significant digits.
    Without an interval return the value alone, to three significant digits.
    """
    if not all(map(math.isfinite, (value, low, high))):
        return show(value)
    half = _without_rounding_error((high - low) / 2)
    if _is_negligible(half, value):
        return f"{_without_rounding_error(value):.6g} ± 0"
    places = 1 - _magnitude(half, 2)
    leading = _magnitude(round(value, places) or value, 16)
    if leading + places < 2:
        middle, *ends = (_to_digits(one, 2) for one in (value, low, high))
    elif leading in _PLAIN_MAGNITUDES:
        middle, *ends = (_fixed(one, places) for one in (value, low, high))
    else:
        middle, *ends = (_to_digits(one, leading + places + 1) for one in (value, low, high))
    return f"{middle} [{', '.join(ends)}]"


def _without_rounding_error(value: float) -> float:
    return 0.0 if abs(value) < _ROUNDING_ERROR else value


def _is_negligible(half_width: float, mean: float) -> bool:
    return half_width == 0 or half_width < abs(mean) * _NEGLIGIBLE


def _magnitude(value: float, digits: int) -> int:
    """Return the power of ten of the first digit after rounding to ``digits``: that of 0.0996 to two digits is -1."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])


def _to_digits(value: float, digits: int) -> str:
    magnitude = _magnitude(value, digits)
    if magnitude not in _PLAIN_MAGNITUDES:
        return f"{value:.{digits - 1}e}"
    return _fixed(value, digits - 1 - magnitude)


def _fixed(value: float, places: int) -> str:
    """Round to ``places`` after the point; a negative number of places rounds to tens, hundreds, ..."""
    text = f"{round(value, places):.{max(places, 0)}f}"
    return text.removeprefix("-") if float(text) == 0 else text
