"""Chance that a claim of equal quality is found true, by Welch's test: two equal arms with normal logarithms.

Run: ``python benchmarks/claims/power.py``. It prints the table of docs/claims.md.
"""

import numpy as np
from scipy.stats import ttest_ind

REPEATS = 20_000
FACTORS = (1, 10, 70)
"""Of Holm's correction: what the smaller of the p-values is multiplied by."""


def power(margin: float, seeds: int, spread: float) -> list[float]:
    """Return the share of repeats with a corrected two-sided p below 5 % at both edges, for each of `FACTORS`."""
    random = np.random.default_rng(0)
    a, b = (random.normal(0, spread, (seeds, REPEATS)) for _ in range(2))
    edge = np.log(margin)
    above = ttest_ind(a + edge, b, equal_var=False, alternative="greater").pvalue
    below = ttest_ind(a - edge, b, equal_var=False, alternative="less").pvalue
    return [float(np.mean(2 * np.maximum(above, below) * factor < 0.05)) for factor in FACTORS]


print("| Margin | Seeds | Standard deviation | " + " | ".join(f"Holm × {factor}" for factor in FACTORS) + " |")
print("| ---: | ---: | ---: |" + " ---: |" * len(FACTORS))
for margin in (1.25, 2):
    for seeds in (5, 10):
        for spread in (0.2, 0.3, 0.6):
            shares = " | ".join(f"{100 * share:.0f} %" for share in power(margin, seeds, spread))
            print(f"| {margin} | {seeds} | {spread} | {shares} |")
