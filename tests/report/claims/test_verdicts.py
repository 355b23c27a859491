"""Tests of claims against SciPy, Holm's correction over an experiment, and what several starts say together."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, spearmanr, ttest_1samp, ttest_ind, ttest_rel

from lipschitz.errors import InputError
from lipschitz.report.claims.claims_file import LABELS, Claim, ClaimsFile, read_claims
from lipschitz.report.claims.comparisons import compare
from lipschitz.report.claims.values import Values
from lipschitz.report.claims.verdicts import decide
from lipschitz.report.claims.write import write
from lipschitz.report.reading.value_tables import write_values

PLACES = {"digits": {"He": {"model": "he"}, "normal": {"model": "normal"}}}
EXPERIMENTS = {"one": {"sweep": "one.yaml", "results": "one", "cost": "1 core-hour"}}


def claim(**fields: Any) -> Claim:
    about = {"id": "a", "claim": "A is better.", "source": "Doe", "experiment": "one", "on": ["digits"], "metric": "w1"}
    return Claim.model_validate(about | fields)


def records(values: dict[tuple[str, str], Any], metric: str = "w1") -> pd.DataFrame:
    """Return records with ``values`` by model and constraint, one for each seed, after 0 and 10 steps."""
    rows = [
        (f"{model}-{constraint}-{seed}", "generation", "digits", model, constraint, "hinge", "C", seed, step, 0.5, v)
        for (model, constraint), found in values.items()
        for seed, value in enumerate(found)
        for step, v in ((0, 1.0), (10, value))
    ]
    frame = pd.DataFrame(rows, columns=["run", *LABELS, "seed", "step", "seconds", "value"])
    return frame.assign(metric=metric)


def from_he(one: Claim, values: dict[tuple[str, str], Any], diverged: tuple[str, ...] = ()) -> Any:
    return compare(one, Values(records(values), Path("one"), frozenset(diverged)), "digits", "He", {"model": "he"})


def draw(mean: float, seed: int, n: int = 6, spread: float = 0.2) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(math.log(mean), spread, n))


def test_a_geometric_metric_is_tested_by_logarithms() -> None:
    a, b = draw(1.0, 0), draw(1.5, 1)
    found = from_he(claim(lower="x", than="y"), {("he", "x"): a, ("he", "y"): b})
    theirs = ttest_ind(np.log(a), np.log(b), equal_var=False)
    (hypothesis,) = found.hypotheses
    assert hypothesis.supports
    assert hypothesis.p == pytest.approx(theirs.pvalue, rel=1e-9)
    interval = theirs.confidence_interval()
    assert (found.low, found.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)), rel=1e-9)
    assert found.effect == pytest.approx(math.exp(np.log(a).mean() - np.log(b).mean()), rel=1e-12)
    assert (found.n, found.lost) == (6, 0)


def test_the_other_direction_speaks_against_the_claim() -> None:
    found = from_he(claim(lower="x", than="y"), {("he", "x"): draw(1.5, 0), ("he", "y"): draw(1.0, 1)})
    assert [one.supports for one in found.hypotheses] == [False]


def test_a_number_is_compared_by_a_test_of_one_sample() -> None:
    a = draw(1.3, 0)
    found = from_he(claim(higher="x", than=1.1), {("he", "x"): a})
    assert found.hypotheses[0].supports
    assert found.hypotheses[0].p == pytest.approx(ttest_1samp(np.log(a), math.log(1.1)).pvalue, rel=1e-9)
    assert math.isnan(found.g)


def test_an_effect_below_the_margin_speaks_against_the_claim() -> None:
    a, b = draw(0.999, 0, n=8, spread=0.004), draw(1.0, 1, n=8, spread=0.004)
    found = from_he(claim(lower="x", than="y", margin=1.1), {("he", "x"): a, ("he", "y"): b})
    against = next(one for one in found.hypotheses if not one.supports and one.p < 1e-3)
    one_sided = ttest_ind(np.log(a), np.log(b) - math.log(1.1), equal_var=False, alternative="greater")
    assert against.p == pytest.approx(2 * one_sided.pvalue, rel=1e-9)


def test_equivalence_needs_both_edges_of_the_margin() -> None:
    a, b, far = draw(1.0, 0, spread=0.02), draw(1.02, 1, spread=0.02), draw(2.0, 2, spread=0.02)
    values = {("he", "x"): a, ("he", "y"): b, ("he", "far"): far}
    near = from_he(claim(equal=["x", "y"], margin=1.25), values)
    edges = [
        2 * ttest_ind(np.log(a), np.log(b) + sign * math.log(1.25), equal_var=False, alternative=side).pvalue
        for sign, side in ((-1, "greater"), (1, "less"))
    ]
    assert near.hypotheses[0].supports
    assert near.hypotheses[0].p == pytest.approx(max(edges), rel=1e-9)
    apart = from_he(claim(equal=["x", "far"], margin=1.25), values)
    assert apart.hypotheses[0].p == 1
    assert not apart.hypotheses[1].supports
    assert apart.hypotheses[1].p < 1e-6


def test_metrics_of_one_arm_are_compared() -> None:
    frame = pd.concat([records({("he", "x"): draw(1, 0)}), records({("he", "x"): draw(3, 1)}, "gradient_norm/noise")])
    found = compare(
        claim(differ=["x", {"constraint": "x", "metric": "gradient_norm/noise"}]),
        Values(frame, Path("one")),
        "digits",
        "He",
        {"model": "he"},
    )
    assert found.effect == pytest.approx(1 / 3, rel=0.2)


def test_values_of_the_same_runs_are_compared_in_pairs() -> None:
    a, b = draw(1, 0), draw(1, 0) * draw(1.2, 1, spread=0.02)
    frame = pd.concat([records({("he", "x"): a}), records({("he", "x"): b}, "gradient_norm/noise")])
    one = claim(differ=["x", {"constraint": "x", "metric": "gradient_norm/noise"}])
    found = compare(one, Values(frame, Path("one")), "digits", "He", {"model": "he"})
    theirs = ttest_rel(np.log(a), np.log(b))
    assert found.hypotheses[0].p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert found.low == pytest.approx(math.exp(theirs.confidence_interval().low), rel=1e-9)
    assert math.isnan(found.g)


def test_a_correlation_is_over_runs_and_its_test_exchanges_constraints() -> None:
    values = {("he", name): draw(place, place) for place, name in enumerate("abcdef", start=1)}
    other = {key: 1 / (found + 1.5 * (key[1] == "c")) for key, found in values.items()}
    frame = pd.concat([records(values), records(other, "lipschitz_lower")])
    found = compare(
        claim(correlated="negative", with_metric="lipschitz_lower"),
        Values(frame, Path("one")),
        "digits",
        "He",
        {"model": "he"},
    )
    theirs = spearmanr(np.concatenate([*values.values()]), np.concatenate([*other.values()]))
    assert found.effect == pytest.approx(theirs.statistic)
    assert (found.n, found.hypotheses[0].supports) == (6, True)
    # Orders of six constraints are 720, so that p is a multiple of 1/720, far above that of 36 independent runs.
    assert found.hypotheses[0].p * 720 == pytest.approx(round(found.hypotheses[0].p * 720))
    assert found.hypotheses[0].p >= 1 / 720 > theirs.pvalue
    assert -1 <= found.low < found.effect < found.high


def test_a_correlation_is_over_the_constraints_that_it_names() -> None:
    values = {("he", name): draw(place, place, spread=0.01) for place, name in enumerate("abcdef", start=1)}
    frame = pd.concat([records(values), records(values, "lipschitz_lower")])
    one = claim(correlated="positive", with_metric="lipschitz_lower", over=("a", "b", "c", "d", "e"))
    found = compare(one, Values(frame, Path("one")), "digits", "He", {"model": "he"})
    assert (found.n, found.effect) == (5, pytest.approx(1))
    assert found.hypotheses[0].p == pytest.approx(1 / math.factorial(5))


def test_lost_seeds_are_counted_and_four_are_too_few() -> None:
    a = draw(1.0, 0)
    a[:2] = np.nan
    found = from_he(claim(lower="x", than="y"), {("he", "x"): a, ("he", "y"): draw(9.0, 1)})
    assert (found.hypotheses, found.lost, found.n) == ((), 2, 4)
    assert found.reason == "4 seeds with a value; 5 are needed"


@pytest.mark.parametrize(("test", "supports"), [({"lower": "x"}, False), ({"higher": "x"}, True)])
def test_diverged_seeds_count_as_worst_and_ranks_are_tested(test: dict[str, str], supports: bool) -> None:
    a, b = draw(1.0, 0, n=8), draw(1.0, 1, n=8)
    a[:5] = np.nan
    found = from_he(
        claim(**test, than="y", margin=1.1),
        {("he", "x"): a, ("he", "y"): b},
        tuple(f"he-x-{seed}" for seed in range(5)),
    )
    theirs = mannwhitneyu(np.where(np.isnan(a), np.inf, a), b)
    assert [(one.supports, one.p) for one in found.hypotheses] == [(supports, pytest.approx(theirs.pvalue))]
    assert (found.scale, found.n, found.lost, found.beyond) == ("probability", 8, 0, True)
    assert found.effect == pytest.approx(1 - theirs.statistic / 64)
    assert found.reason == "5 of 16 diverged"


def test_diverged_seeds_do_not_make_arms_equal_and_are_lost_where_no_direction_is_better() -> None:
    a, b = draw(1.0, 0), draw(1.0, 1)
    a[:2] = np.nan
    values, diverged = {("he", "x"): a, ("he", "y"): b}, ("he-x-0", "he-x-1")
    assert from_he(claim(equal=["x", "y"], margin=2), values, diverged).hypotheses == ()
    frame = records(values, "lipschitz_lower")
    one = claim(lower="x", than="y", metric="lipschitz_lower")
    found = compare(one, Values(frame, Path("one"), frozenset(diverged)), "digits", "He", {"model": "he"})
    assert (found.hypotheses, found.lost, found.reason) == ((), 2, "2 of 12 diverged")


def test_a_whole_arm_that_diverged_is_not_judged_by_its_first_step() -> None:
    frame = records({("he", "x"): draw(1.0, 0), ("he", "y"): draw(1.0, 1)})
    frame = frame[(frame["constraint"] == "y") | (frame["step"] == 0)]
    runs = frozenset(f"he-x-{seed}" for seed in range(6))
    found = compare(claim(higher="x", than="y"), Values(frame, Path("one"), runs), "digits", "He", {"model": "he"})
    assert found.effect == 0
    assert found.hypotheses[0].p == pytest.approx(mannwhitneyu([np.inf] * 6, draw(1.0, 1)).pvalue)


def test_arms_without_spread_are_compared_by_ranks() -> None:
    eight, seven = np.full(5, 8.0), np.full(5, 7.0)
    one = claim(higher="x", than="y", metric="modes")
    frame = records({("he", "x"): eight, ("he", "y"): seven}, "modes")
    found = compare(one, Values(frame, Path("one")), "digits", "He", {"model": "he"})
    assert found.hypotheses[0].p == pytest.approx(2 / math.comb(10, 5))
    assert found.hypotheses[0].p > mannwhitneyu(eight, seven).pvalue
    same = from_he(claim(lower="x", than=2.0), {("he", "x"): eight})
    assert (same.hypotheses, same.reason) == ((), "all seeds have the same value")


def test_a_difference_below_the_margin_is_not_true(tmp_path: Path) -> None:
    noise = np.linspace(-1, 1, 9)
    spread = np.exp(0.04 * noise / noise.std(ddof=1))
    values = {key: spread * (1.0 if key[1] == "x" else 1.09) for key in both(1, 1)}
    for margin, verdict in ((1.01, "true"), (1.13, "undecided")):
        folder = tmp_path / str(margin)
        folder.mkdir()
        (decided,) = decide(written(folder, values, [claim(lower="x", than="y", margin=margin)]), folder)
        assert decided.verdict == verdict
        assert all(one.corrected < 0.05 for one in decided.tested)


def test_time_to_the_quality_of_the_other_arm_is_compared_by_ranks() -> None:
    rows = [
        (f"he-{name}-{seed}", "generation", "digits", "he", name, "hinge", "C", seed, step, step * pace, value)
        for name, pace, values in (("x", 0.2, (9, 5, 1, 1)), ("y", 0.1, (9, 8, 6, 3)))
        for seed in range(5)
        for step, value in zip((0, 10, 20, 30), values, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["run", *LABELS, "seed", "step", "seconds", "value"]).assign(metric="w1")
    values = Values(frame, Path("one"))
    assert values.reach({"constraint": "x"}, "w1", 3, True, "steps").tolist() == [20] * 5
    assert values.reach({"constraint": "x"}, "w1", 3, True, "seconds") == pytest.approx([4.0] * 5)
    assert values.reach({"constraint": "y"}, "w1", 2, True, "steps").tolist() == [math.inf] * 5
    late = Values(frame, Path("one"), frozenset(["he-x-1"]))
    assert late.reach({"constraint": "x"}, "w1", 3, True, "steps").tolist() == [20, math.inf, 20, 20, 20]
    steps, seconds = (
        compare(claim(lower="x", than="y", reach=unit, margin=1.1), values, "digits", "He", {"model": "he"})
        for unit in ("steps", "seconds")
    )
    assert (steps.effect, steps.hypotheses[0].supports) == (1, True)
    assert (seconds.effect, seconds.hypotheses[0].supports) == (0, False)


def test_the_largest_value_over_layers_is_tested() -> None:
    first, second = draw(1, 0), draw(1, 1)
    frame = pd.concat([records({("he", "x"): v}, f"sigma_operator/{i}") for i, v in enumerate((first, second))])
    found = Values(frame, Path("one")).of({"constraint": "x"}, "largest_sigma_operator", None)
    assert found == pytest.approx(np.maximum(first, second))


def test_two_runs_of_one_seed_are_refused() -> None:
    frame = records({("he", "x"): draw(1, 0), ("normal", "x"): draw(1, 1)})
    with pytest.raises(InputError, match="several runs of one seed have constraint=x"):
        Values(frame, Path("one")).of({"constraint": "x"}, "w1", None)


def written(tmp_path: Path, values: dict[tuple[str, str], Any], claims: list[Claim]) -> ClaimsFile:
    (tmp_path / "one").mkdir()
    frame = records(values)
    runs = frame.drop_duplicates("run").set_index("run")[[*LABELS, "seed"]]
    write_values(tmp_path / "one" / "records.csv", frame[["run", "step", "seconds", "metric", "value"]], runs)
    raw = [one.model_dump(exclude_unset=True) for one in claims]
    return ClaimsFile.model_validate({"experiments": EXPERIMENTS, "places": PLACES, "claims": raw})


def both(x: float, y: float, *, turned: bool = False) -> dict[tuple[str, str], Any]:
    second = (y, x) if turned else (x, y)
    return {
        ("he", "x"): draw(x, 0, spread=0.05),
        ("he", "y"): draw(y, 1, spread=0.05),
        ("normal", "x"): draw(second[0], 2, spread=0.05),
        ("normal", "y"): draw(second[1], 3, spread=0.05),
    }


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (both(1, 3), "true"),
        (both(3, 1), "false"),
        (both(1, 3, turned=True), "depends"),
        (both(1, 1.0001), "undecided"),
        ({key: value for key, value in both(1, 3).items() if key != ("normal", "y")}, "not run"),
    ],
)
def test_both_starts_decide(tmp_path: Path, values: dict[tuple[str, str], Any], verdict: str) -> None:
    file = written(tmp_path, values, [claim(lower="x", than="y")])
    (decided,) = decide(file, tmp_path)
    assert decided.verdict == verdict


def test_the_correction_is_for_the_whole_experiment(tmp_path: Path) -> None:
    values = {key: draw(1.0 if key[1] == "x" else 1.28, index) for index, key in enumerate(both(1, 1))}
    alone = decide(written(tmp_path, values, [claim(lower="x", than="y")]), tmp_path)[0]
    (tmp_path / "more").mkdir()
    others = [claim(id=f"b{i}", lower="x", than="y") for i in range(10)]
    among = decide(written(tmp_path / "more", values, [claim(lower="x", than="y"), *others]), tmp_path / "more")[0]
    assert (alone.family, among.family) == (2, 22)
    assert alone.tested[0].corrected < among.tested[0].corrected


def test_without_results_it_is_not_run(tmp_path: Path) -> None:
    file = written(tmp_path, both(1, 3), [claim(lower="x", than="y")])
    (decided,) = decide(file, tmp_path / "elsewhere")
    assert (decided.verdict, decided.tested) == ("not run", [])
    write(file, [decided], tmp_path / "out")
    assert "lipschitz sweep one.yaml" in (tmp_path / "out" / "table.md").read_text()


def test_everything_is_written(tmp_path: Path) -> None:
    file = written(tmp_path, both(1, 3), [claim(lower="x", than="y", margin=1.1)])
    write(file, decide(file, tmp_path), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"claims.csv", "comparisons.csv", "table.md", "table.tex", "index.html", "plots"}
    first = (tmp_path / "out" / "plots" / "a.svg").read_bytes()
    assert first.startswith(b"<?xml")
    table = pd.read_csv(tmp_path / "out" / "comparisons.csv", dtype={"verdict": str})
    assert [one.lower() for one in table["verdict"]] == ["true", "true"]
    assert table["effect"].to_numpy() == pytest.approx([1 / 3, 1 / 3], rel=0.1)
    write(file, decide(file, tmp_path), tmp_path / "out")
    assert (tmp_path / "out" / "plots" / "a.svg").read_bytes() == first


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, "expected one of lower, higher, differ, equal and correlated, got none"),
        ({"lower": "x"}, "'than' goes with lower and higher"),
        ({"equal": ["x", "y"]}, "equal needs a margin"),
        ({"lower": "x", "than": "y", "on": ["nowhere"]}, "nowhere"),
        ({"lower": "x", "than": "y", "over": ["x"]}, "'over' goes with correlated"),
        ({"lower": "x", "than": 1.0, "reach": "steps"}, "'reach' goes with two arms"),
        ({"lower": "x", "than": "y", "metric": "w2"}, "unknown metric 'w2'"),
        ({"lower": "x", "than": "y", "unknown": 1}, "unknown"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, fields: dict[str, Any], found: str) -> None:
    about = {"id": "a", "claim": "A.", "source": "Doe", "experiment": "one", "on": ["digits"], "metric": "w1"}
    path = tmp_path / "claims.yaml"
    text = {"experiments": EXPERIMENTS, "places": PLACES, "claims": [about | fields]}
    path.write_text(str(text).replace("None", "null"))
    with pytest.raises(InputError) as error:
        read_claims(path)
    assert found in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(path))
