"""Test one claim from one start: the effect with its interval, and p-values for and against the claim."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, ttest_1samp, ttest_ind, ttest_rel

from lipschitz.metrics.catalogue import metric_of
from lipschitz.report.claims.claims_file import Arm, Claim, recorded_name
from lipschitz.report.claims.values import Values
from lipschitz.report.statistics.geometric import is_geometric
from lipschitz.report.statistics.improvement import share_below
from lipschitz.report.statistics.intervals import CONFIDENCE
from lipschitz.report.statistics.rank_correlation import rank_correlation

FEWEST_SEEDS = 5
FEWEST_CONSTRAINTS = 5
_NO_SPREAD = 1e-12
"""Relative range of values up to which they count as one value."""
Array = NDArray[np.float64]
Scale = Literal["ratio", "difference", "probability", "correlation"]
Data = Literal["paired", "number", "independent"]
Sided = Callable[[float, int], float]
"""Two-sided p of the difference being an edge, if it is found on the side (1 or -1) of it; else 1."""


class Hypothesis(NamedTuple):
    """A null hypothesis: rejecting it supports the claim, or speaks against it."""

    supports: bool
    p: float


class Comparison(NamedTuple):
    """The test of one claim from one start."""

    claim: str
    place: str
    start: str
    n: int
    """Seeds of the smaller arm that are tested; constraints of a correlation."""
    lost: int
    """Seeds without a value, or whose runs diverged."""
    scale: Scale = "difference"
    effect: float = math.nan
    """Ratio of geometric means, difference of means, probability that a seed of the first arm has the lower value (of a
    rank test), or Spearman's correlation; NaN where there is no test."""
    low: float = math.nan
    high: float = math.nan
    """Ends of the interval of the effect, without correction; NaN of a rank test."""
    g: float = math.nan
    """Hedges' g of a comparison of two independent arms, on the scale of the test; NaN otherwise."""
    beyond: bool = True
    """Whether the effect that was found is at least the margin, as a claim needs that asks for a difference."""
    hypotheses: tuple[Hypothesis, ...] = ()
    """Empty where the claim cannot be tested here."""
    reason: str = ""
    """Why it cannot, or how many seeds diverged."""


def compare(claim: Claim, values: Values, place: str, start: str, labels: dict[str, str]) -> Comparison:
    """Test ``claim`` on the runs with ``labels``.

    Seeds of diverged runs are infinite in ``values``. Where the metric has a better direction, they count as worst, and
    ranks are tested. Otherwise they are lost, as seeds without a value.
    """
    if claim.correlated is not None:
        return _correlate(claim, values, place, start, labels)
    one, other = claim.arms
    first = _values(claim, one, values, labels)
    second = np.array([float(other)]) if isinstance(other, float) else _values(claim, other, values, labels)
    diverged, every = int(np.isinf(first).sum() + np.isinf(second).sum()), len(first) + len(second)
    found = Comparison(claim.id, place, start, 0, diverged + int(np.isnan(first).sum() + np.isnan(second).sum()))
    if not len(first) or not len(second):
        return found._replace(reason="no runs")
    name = one.metric or claim.metric
    paired = isinstance(other, Arm) and one.runs == other.runs
    worst = _worst(claim, name) if isinstance(other, Arm) and not paired and (diverged or claim.reach) else None
    ranked = worst is not None
    if worst is not None:
        found = found._replace(lost=found.lost - diverged)
        a, b = (np.where(np.isinf(arm), worst, arm)[~np.isnan(arm)] for arm in (first, second))
    elif paired:
        both = np.isfinite(first) & np.isfinite(second)
        a, b = first[both], second[both]
    else:
        a, b = (arm[np.isfinite(arm)] for arm in (first, second))
    missed = "did not reach it" if claim.reach else "diverged"
    said = f"{diverged} of {every} {missed}" if diverged else ""
    found = found._replace(n=len(a) if isinstance(other, float) else min(len(a), len(b)), reason=said)
    if found.n < FEWEST_SEEDS:
        return found._replace(reason=said or f"{found.n} seeds with a value; {FEWEST_SEEDS} are needed")
    if is_geometric(recorded_name(name)) or claim.reach:
        if min(float(arm.min()) for arm in (a, b)) <= 0:
            return found._replace(reason="a value of zero has no logarithm")
        a, b, found = np.log(a), np.log(b), found._replace(scale="ratio")
    margin = claim.margin
    margin = math.log(margin) if margin is not None and found.scale == "ratio" else margin
    if ranked:
        return _ranks(claim.kind, a, b, margin, found)
    without_spread = _constant(a - b) if paired or isinstance(other, float) else _constant(a) and _constant(b)
    if without_spread and isinstance(other, Arm) and not paired:
        return _ranks(claim.kind, a, b, margin, found)
    if without_spread:
        return found._replace(reason="all seeds have the same value")
    return _means(claim.kind, a, b, margin, found, "paired" if paired else "number" if len(b) == 1 else "independent")


def _worst(claim: Claim, metric: str) -> float | None:
    """Return the worst value of what is compared; None where no direction is better."""
    better = "lower" if claim.reach else metric_of(recorded_name(metric)).better
    return None if better is None else math.inf if better == "lower" else -math.inf


def _constant(values: Array) -> bool:
    return float(np.ptp(values)) <= _NO_SPREAD * max(1.0, float(np.abs(values).max()))


def _values(claim: Claim, arm: Arm | None, values: Values, labels: dict[str, str]) -> Array:
    assert arm is not None
    chosen, metric = {**labels, **claim.given, **arm.runs}, arm.metric or claim.metric
    if claim.reach is None:
        return values.of(chosen, metric, claim.step if arm.step is None else arm.step)
    assert isinstance(claim.than, Arm)
    last = values.of({**labels, **claim.given, **claim.than.runs}, metric, None)
    target = float(np.median(last)) if len(last) else math.nan
    if not math.isfinite(target):
        return np.full(len(last), np.nan)
    return values.reach(chosen, metric, target, metric_of(metric).better == "lower", claim.reach)


def _means(kind: str, a: Array, b: Array, margin: float | None, found: Comparison, data: Data) -> Comparison:
    """Compare means by Student's test of pairs or of one sample, or by Welch's test."""

    def test(edge: float, alternative: str) -> Any:
        if data == "paired":
            return ttest_rel(a - edge, b, alternative=alternative)
        if data == "number":
            return ttest_1samp(a, b[0] + edge, alternative=alternative)
        return ttest_ind(a - edge, b, equal_var=False, alternative=alternative)

    def beyond(edge: float, sign: int) -> float:
        return min(1.0, 2 * float(test(edge, "greater" if sign > 0 else "less").pvalue))

    difference = float(a.mean() - b.mean())
    ends = test(0.0, "two-sided").confidence_interval(CONFIDENCE)
    shift = float(b[0]) if data == "number" else 0.0
    numbers = [difference, float(ends.low) - shift, float(ends.high) - shift]
    effect, low, high = (math.exp(min(end, 700.0)) for end in numbers) if found.scale == "ratio" else numbers
    return found._replace(
        effect=effect,
        low=low,
        high=high,
        g=_hedges(a, b) if data == "independent" else math.nan,
        beyond=_beyond(kind, difference, margin),
        hypotheses=_hypotheses(kind, beyond, margin),
    )


def _ranks(kind: str, a: Array, b: Array, margin: float | None, found: Comparison) -> Comparison:
    """Compare ranks by the test of Mann and Whitney; values may be infinite.

    Medians say whether the effect is beyond the margin. Ranks cannot show that two arms are equal.
    """
    if np.unique(np.concatenate([a, b])).size == 1:
        return found._replace(reason=found.reason or "all seeds have the same value")
    lower = share_below(a, b)
    # With ties the p-value is approximate: no order of the seeds is rarer than one of all, in either direction.
    p = max(float(mannwhitneyu(a, b).pvalue), 2 / math.comb(len(a) + len(b), len(a)))
    with np.errstate(invalid="ignore"):
        difference = float(np.median(a) - np.median(b))
    beyond = not math.isnan(difference) and _beyond("differ" if kind == "equal" else kind, difference, margin)
    supports = {"lower": lower > 0.5, "higher": lower < 0.5, "differ": True, "equal": False}[kind]
    tested = (Hypothesis(supports, p),) if kind != "equal" or beyond else ()
    return found._replace(scale="probability", effect=lower, beyond=beyond or not supports, hypotheses=tested)


def _beyond(kind: str, difference: float, margin: float | None) -> bool:
    """Return whether the difference that was found is at least the margin, in the direction of the claim."""
    directed = {"lower": -difference, "higher": difference, "differ": abs(difference), "equal": math.inf}[kind]
    return directed >= (margin or 0.0)


def _hypotheses(kind: str, beyond: Sided, margin: float | None) -> tuple[Hypothesis, ...]:
    """Return the null hypotheses of a test, all p-values two-sided or at most as large as two-sided ones need."""
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


def _hedges(a: Array, b: Array) -> float:
    freedom = len(a) + len(b) - 2
    pooled = math.sqrt((float(a.var(ddof=1)) * (len(a) - 1) + float(b.var(ddof=1)) * (len(b) - 1)) / freedom)
    return float(a.mean() - b.mean()) / pooled * (1 - 3 / (4 * freedom - 1))


def _correlate(claim: Claim, values: Values, place: str, start: str, labels: dict[str, str]) -> Comparison:
    """Test Spearman's correlation over the runs of the constraints, which are exchanged as a whole."""
    assert claim.with_metric is not None
    x, y, groups, lost, n = [], [], [], 0, 0
    for constraint in claim.over or values.constraints({**labels, **claim.given}):
        chosen = {**labels, **claim.given, "constraint": constraint}
        pair = [values.of(chosen, name, claim.step) for name in (claim.metric, claim.with_metric)]
        known = np.isfinite(pair[0]) & np.isfinite(pair[1])
        lost += int((~known).sum())
        if known.sum() >= FEWEST_SEEDS:
            x.append(pair[0][known])
            y.append(pair[1][known])
            groups.append(np.full(int(known.sum()), n))
            n += 1
    found = Comparison(claim.id, place, start, n, lost, "correlation")
    if n < FEWEST_CONSTRAINTS:
        few = f"{n} constraints with {FEWEST_SEEDS} seeds; {FEWEST_CONSTRAINTS} are needed"
        return found._replace(reason=few if n else "no runs")
    tested = rank_correlation(np.concatenate(x), np.concatenate(y), np.concatenate(groups))
    if not math.isfinite(tested.rho):
        return found._replace(reason="one of the metrics has one value")
    supports = (tested.rho > 0) == (claim.correlated == "positive")
    hypotheses = (Hypothesis(supports, tested.p),)
    return found._replace(effect=tested.rho, low=tested.low, high=tested.high, hypotheses=hypotheses)
