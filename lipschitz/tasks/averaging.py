"""How much of its initial weights a moving average of weights still holds at the end of training. Without torch."""

import math
from collections.abc import Iterable, Iterator

LARGEST_SHARE = 0.01
"""Largest share of the initial weights in an average without a warning."""


def average_warnings(averages: Iterable[tuple[float | None, int]]) -> Iterator[str]:
    """Yield one line for each distinct (``ema``, ``steps``) whose average holds too much of the initial weights.

    An average that starts from the initial weights, without a warm-up, holds the share ema^steps of them. ``ema`` is
    None for no average.
    """
    for ema, steps in dict.fromkeys(averages):
        if ema is not None and steps > 0 and ema**steps > LARGEST_SHARE:
            enough = math.ceil(math.log(LARGEST_SHARE * (1 - 1e-9)) / math.log(ema))
            yield (
                f"training.ema {ema:g} over {steps:,} steps: the average still holds {ema**steps:.0%} of the initial "
                f"weights, more than {LARGEST_SHARE:.0%}; use an ema of at most {_largest_ema(steps)}, or at least "
                f"{enough:,} steps"
            )


def _largest_ema(steps: int) -> str:
    """Return, rounded down, the largest ema whose share is small enough after ``steps``."""
    exact = (LARGEST_SHARE * (1 - 1e-9)) ** (1 / steps)
    digits = math.ceil(-math.log10(1 - exact)) + 2
    return f"{math.floor(exact * 10**digits) / 10**digits:.{digits}f}".rstrip("0")
