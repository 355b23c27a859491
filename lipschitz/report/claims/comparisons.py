"""Test one claim from one start: the effect with its interval, and p-values for and against the claim."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit
from scipy.stats import norm, spearmanr

from lipschitz.report.claims.claims_file import Arm, Claim
from lipschitz.report.claims.values import Values
from lipschitz.report.statistics.geometric import is_geometric
from lipschitz.report.statistics.intervals import CONFIDENCE

FEWEST_SEEDS = 5
FEWEST_CONSTRAINTS = 5
Array = NDArray[np.float64]


class Hypothesis(NamedTuple):
    """A null hypothesis: rejecting it supports the claim, or speaks against it."""

    supports: bool
    p: float


class Comparison(NamedTuple):
    """The test of one claim from one start."""

    claim: str
    place: str
    start: str
    effect: float
    """Ratio of geometric means, difference of means, or Spearman's correlation; NaN without data."""
    low: float
    high: float
    """Ends of the 95 % interval of the effect, without correction."""
    scale: str
    """``ratio``, ``difference`` or ``correlation``."""
    g: float
    """Hedges' g of a comparison of two arms, on the scale of the test; NaN otherwise."""
    n: int
    """Seeds of the smaller arm that have a value; constraints of a correlation."""
    lost: int
    """Seeds without a value, as those of runs that diverged."""
    hypotheses: tuple[Hypothesis, ...]
    """Empty where the claim cannot be tested here."""
    reason: str = ""
    """Why it cannot."""


def compare(claim: Claim, values: Values, place: str, start: str, labels: dict[str, str]) -> Comparison:
    """Test ``claim`` on the runs with ``labels``."""
    if claim.correlated is not None:
        return _correlate(claim, values, place, start, labels)
    one, other = claim.arms
    geometric = is_geometric(one.metric or claim.metric)
    first = _values(claim, one, values, labels)
    second = np.array([float(other)]) if isinstance(other, float) else _values(claim, other, values, labels)
    known = [arm[np.isfinite(arm)] for arm in (first, second)]
    is_number = isinstance(other, float)
    n = len(known[0]) if is_number else min(map(len, known))
    lost = int(np.isnan(first).sum() + np.isnan(second).sum())

    def untested(reason: str) -> Comparison:
        scale = "ratio" if geometric else "difference"
        return Comparison(claim.id, place, start, math.nan, math.nan, math.nan, scale, math.nan, n, lost, (), reason)

    if not len(first) or not len(second):
        return untested("no runs")
    if n < FEWEST_SEEDS:
        return untested(f"{n} seeds with a value; {FEWEST_SEEDS} are needed")
    if geometric and min(float(arm.min()) for arm in known) <= 0:
        return untested("a value of zero has no logarithm")
    a, b = (np.log(arm) if geometric else arm for arm in known)
    shift = None if claim.margin is None else math.log(claim.margin) if geometric else claim.margin
    difference, error, freedom = _welch(a, b, is_number)
    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
    ends = [difference, difference - half, difference + half]
    effect, low, high = (math.exp(min(end, 700.0)) for end in ends) if geometric else ends
    g = math.nan if is_number else _hedges(a, b)
    hypotheses = _hypotheses(claim.kind, difference, error, freedom, shift)
    scale = "ratio" if geometric else "difference"
    return Comparison(claim.id, place, start, effect, low, high, scale, g, n, lost, hypotheses)


def _values(claim: Claim, arm: Arm | None, values: Values, labels: dict[str, str]) -> Array:
    assert arm is not None
    step = claim.step if arm.step is None else arm.step
    return values.of({**labels, **claim.given, **arm.runs}, arm.metric or claim.metric, step)


def _hypotheses(
    kind: str, difference: float, error: float, freedom: float, margin: float | None
) -> tuple[Hypothesis, ...]:
    """Return the null hypotheses of a test, all p-values two-sided or at most as large as two-sided ones need."""

    def beyond(edge: float, sign: int) -> float:
        """Two-sided p of the difference being ``edge``, if it is found on the side ``sign`` of it; else 1."""
        return _p(sign * (difference - edge), error, freedom)

    if kind in ("lower", "higher"):
        sign = -1 if kind == "lower" else 1
        found = [Hypothesis(True, beyond(0, sign)), Hypothesis(False, beyond(0, -sign))]
        # Of both only the side that was found can be rejected: it is one two-sided test.
        tests = [min(found, key=lambda one: one.p)]
        if margin is not None:
            tests.append(Hypothesis(False, beyond(sign * margin, -sign)))
        return tuple(tests)
    inside = 1.0 if margin is None else max(beyond(-margin, 1), beyond(margin, -1))
    if kind == "differ":
        different = Hypothesis(True, min(beyond(0, 1), beyond(0, -1)))
        return (different,) if margin is None else (different, Hypothesis(False, inside))
    assert margin is not None
    return Hypothesis(True, inside), Hypothesis(False, min(beyond(margin, 1), beyond(-margin, -1)))


def _p(excess: float, error: float, freedom: float) -> float:
    """Return the two-sided p-value of an ``excess`` over a hypothetical value; 1 if it is not positive."""
    if excess <= 0:
        return 1.0
    return 0.0 if error == 0 else float(2 * stdtr(freedom, -excess / error))


def _welch(a: Array, b: Array, is_number: bool) -> tuple[float, float, float]:
    """Return the difference of means, its standard error, and Welch's degrees of freedom; ``b`` may be one number."""
    difference = float(a.mean() - b.mean())
    shares = [float(a.var(ddof=1)) / len(a)] + ([] if is_number else [float(b.var(ddof=1)) / len(b)])
    sizes = [len(a)] if is_number else [len(a), len(b)]
    parts = sum(share**2 / (n - 1) for share, n in zip(shares, sizes, strict=True))
    total = sum(shares)
    freedom = total**2 / parts if parts > 0 else float(min(sizes) - 1)
    return difference, math.sqrt(total), freedom


def _hedges(a: Array, b: Array) -> float:
    freedom = len(a) + len(b) - 2
    pooled = math.sqrt((float(a.var(ddof=1)) * (len(a) - 1) + float(b.var(ddof=1)) * (len(b) - 1)) / freedom)
    difference = float(a.mean() - b.mean())
    if pooled == 0:
        return 0.0 if difference == 0 else math.copysign(math.inf, difference)
    return difference / pooled * (1 - 3 / (4 * freedom - 1))


def _correlate(claim: Claim, values: Values, place: str, start: str, labels: dict[str, str]) -> Comparison:
    """Test Spearman's correlation over the constraints, each by its median over seeds.

    The interval is Fisher's, with the variance of Bonett and Wright 2000 (Psychometrika 65, eq. 3).
    """
    assert claim.with_metric is not None
    rows, lost = [], 0
    for constraint in values.constraints({**labels, **claim.given}):
        chosen = {**labels, **claim.given, "constraint": constraint}
        pair = [values.of(chosen, name, claim.step) for name in (claim.metric, claim.with_metric)]
        known = np.isfinite(pair[0]) & np.isfinite(pair[1])
        lost += int((~known).sum())
        if known.sum() >= FEWEST_SEEDS:
            rows.append([float(np.median(one[known])) for one in pair])
    n, nan = len(rows), math.nan
    if n < FEWEST_CONSTRAINTS:
        reason = "no runs" if not n else f"{n} constraints with {FEWEST_SEEDS} seeds; {FEWEST_CONSTRAINTS} are needed"
        return Comparison(claim.id, place, start, nan, nan, nan, "correlation", nan, n, lost, (), reason)
    found = spearmanr(*np.array(rows).T)
    # The p-value is approximate: no order of n constraints is rarer than one of n!, in either direction.
    rho, p = float(found.statistic), max(float(found.pvalue), 2 / math.factorial(n))
    if not math.isfinite(rho):
        reason = "one of the metrics has one value"
        return Comparison(claim.id, place, start, nan, nan, nan, "correlation", nan, n, lost, (), reason)
    centre, error = math.atanh(max(-0.999999, min(0.999999, rho))), math.sqrt((1 + rho**2 / 2) / (n - 3))
    half = float(norm.ppf(0.5 + CONFIDENCE / 2)) * error
    supports = (rho > 0) == (claim.correlated == "positive")
    ends = min(math.tanh(centre - half), rho), max(math.tanh(centre + half), rho)
    return Comparison(claim.id, place, start, rho, *ends, "correlation", nan, n, lost, (Hypothesis(supports, p),))
