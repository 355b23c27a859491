"""The scatter plot of quality against seconds: its points, error bars, labels and Pareto front."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from synthetic import METHODS, Plan, dump, write_sweep

from lipschitz.report.plots.curves import quality_by_seconds
from lipschitz.report.plots.data import ComparisonData, comparison_data
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.quality_by_cost import front, quality_by_cost
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import styles

PLAN = Plan(("eight_gaussians",), ("none", "weight_clipping", "gradient_penalty"), seeds=(0, 1), pictures=False)
SECONDS = {"none": 11.0, "weight_clipping": 11.06, "gradient_penalty": 16.4}
"""2,000 steps at 2.5 ms and once, 1.01 times or 1.9 times 3 ms."""


def drawn(folder: Path) -> tuple[ComparisonData, Figure]:
    data = comparison_data(Summary(load(folder)))[0]
    with report_style():
        figure = quality_by_cost(data)
    assert figure is not None
    return data, figure


def marks(axes: Axes) -> dict[str, tuple[float, float]]:
    """Return the drawn points in data coordinates, by marker."""
    points = (line for line in axes.lines if line.get_marker() not in ("None", "") and len(line.get_xdata()) == 1)
    return {
        str(line.get_marker()): (float(np.ravel(line.get_xdata())[0]), float(np.ravel(line.get_ydata())[0]))
        for line in points
        if line.get_transform() == axes.transData
    }


def said(figure: Figure) -> str:
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return "\n".join(text.get_text() for text in texts)


def test_a_point_is_at_the_total_seconds_and_the_mean_after_the_last_step(tmp_path: Path) -> None:
    data, figure = drawn(write_sweep(tmp_path, PLAN))
    assert [axes.get_ylabel() for axes in figure.axes] == ["W1 to held-out data ↓", "Modes covered ↑"]
    last = data.results.outcomes[data.results.outcomes["which"] == "last"]
    for metric, axes in zip(("w1", "modes"), figure.axes, strict=True):
        found = marks(axes)
        for name, style in styles(PLAN.constraints).items():
            runs = data.runs.index[data.runs["constraint"] == name]
            values = last.loc[last["run"].isin(runs) & (last["metric"] == metric), "value"]
            mean = np.exp(np.log(values).mean()) if metric == "w1" else values.mean()
            assert found[style.marker] == pytest.approx((SECONDS[name], mean))


def test_an_error_bar_is_the_interval_of_the_seeds(tmp_path: Path) -> None:
    data, figure = drawn(write_sweep(tmp_path, PLAN))
    bars = [
        tuple(np.asarray(path.vertices)[:, 1])
        for collection in figure.axes[0].collections
        if isinstance(collection, LineCollection)
        for path in collection.get_paths()
        if np.ptp(np.asarray(path.vertices)[:, 0]) == 0
    ]
    rows = data.final[data.final["metric"] == "w1"]
    wanted = list(rows[["low", "high"]].itertuples(index=False, name=None))
    # By two seeds: no bar of a distance reaches zero.
    assert min(low for low, _ in wanted) > 0
    assert sorted(bars) == [pytest.approx(bar) for bar in sorted(wanted)]


def test_a_method_that_was_not_timed_is_named_and_has_no_point(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    dump(folder / "timing" / "eight_gaussians-hinge-C-none.json", {"n_dis": 1})
    _, figure = drawn(folder)
    assert "Not measured: none." in said(figure)
    assert styles(PLAN.constraints)["none"].marker not in marks(figure.axes[0])


def test_without_timings_there_is_no_figure(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    for path in (folder / "timing").iterdir():
        path.write_text(json.dumps({"n_dis": 1}))
    with report_style():
        assert quality_by_cost(comparison_data(Summary(load(folder)))[0]) is None


def test_a_method_with_a_diverged_seed_is_not_on_the_front(tmp_path: Path) -> None:
    ends = {("eight_gaussians", "none", 0): "diverged", ("eight_gaussians", "weight_clipping", 0): "diverged"}
    ends |= {("eight_gaussians", "weight_clipping", 1): "diverged"}
    _, figure = drawn(write_sweep(tmp_path, Plan(PLAN.datasets, PLAN.constraints, seeds=(0, 1), ends=ends)))
    assert "none  (n = 1, 1 diverged)" in said(figure)
    assert "weight_clipping  (n = 0, 2 diverged)" in said(figure)
    assert (
        "Pareto front, no other method has a better mean in less time, among methods without a diverged seed"
        in said(figure)
    )
    assert set(marks(figure.axes[0])) == {
        styles(PLAN.constraints)[name].marker for name in ("none", "gradient_penalty")
    }
    (steps,) = [line for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
    assert float(np.asarray(steps.get_xdata())[0]) == pytest.approx(SECONDS["gradient_penalty"])


def test_the_floor_is_a_line_or_text_if_it_is_far_away(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    _, figure = drawn(folder)
    assert "\nreal data" in said(figure)
    for path in folder.glob("runs/*/result.json"):
        result = json.loads(path.read_text())
        result["floor"] = {"w1": 1e-9, "modes": 1000.0}
        path.write_text(json.dumps(result))
    _, figure = drawn(folder)
    assert "↓ real data: 1.00e-09" in said(figure)
    assert "↑ real data: 1000" in said(figure)
    assert figure.axes[0].get_ylim()[0] > 1e-8


def test_methods_timed_on_different_devices_have_no_front(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)

    def figures() -> tuple[Figure, Figure]:
        data, by_cost = drawn(folder)
        by_seconds = quality_by_seconds(data)
        assert by_seconds is not None
        return by_cost, by_seconds

    def fronts(figure: Figure) -> int:
        return sum(line.get_drawstyle() == "steps-post" for axes in figure.axes for line in axes.lines)

    by_cost, by_seconds = figures()
    assert fronts(by_cost) == 2
    assert "Grey steps" in said(by_cost)
    assert not any("different devices" in said(figure) for figure in (by_cost, by_seconds))
    path = folder / "timing" / "eight_gaussians-hinge-C-none.json"
    dump(path, json.loads(path.read_text()) | {"device": "cuda: another"})
    by_cost, by_seconds = figures()
    assert fronts(by_cost) == 0
    assert "Grey steps" not in said(by_cost)
    where = "cuda: another (none); cpu: synthetic, 1 thread (weight_clipping, gradient_penalty)"
    for figure in (by_cost, by_seconds):
        words = " ".join(said(figure).split())
        assert f"Timed on different devices, so that seconds are not comparable: {where}." in words
    assert len(marks(by_cost.axes[0])) == 3


def test_the_device_of_a_method_without_a_point_does_not_count(tmp_path: Path) -> None:
    ends = {("eight_gaussians", "none", seed): "diverged" for seed in (0, 1)}
    folder = write_sweep(tmp_path, Plan(PLAN.datasets, PLAN.constraints, seeds=(0, 1), ends=ends, pictures=False))
    path = folder / "timing" / "eight_gaussians-hinge-C-none.json"
    dump(path, json.loads(path.read_text()) | {"device": "cuda: another"})
    assert "different devices" not in said(drawn(folder)[1])


def test_methods_of_very_different_cost_have_a_logarithmic_axis(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    assert drawn(folder)[1].axes[0].get_xscale() == "linear"
    path = folder / "timing" / "eight_gaussians-hinge-C-gradient_penalty.json"
    timing = json.loads(path.read_text())
    timing["ms_discriminator_step"]["median"] = 100.0
    path.write_text(json.dumps(timing))
    assert drawn(folder)[1].axes[0].get_xscale() == "log"


def test_many_methods_stand_in_panels_by_family_and_their_labels_are_in_the_figure(tmp_path: Path) -> None:
    names = tuple(f"{method}(version={version})" for method in METHODS for version in range(5))
    _, figure = drawn(write_sweep(tmp_path, Plan(("digits",), names, seeds=(0,), evaluations=1, pictures=False)))
    labelled: list[str] = []
    for axes in figure.axes:
        box, tall = axes.get_position(), figure.get_size_inches()[1]
        texts = [text for text in axes.texts if "version=" in text.get_text()]
        labelled += [text.get_text() for text in texts]
        places = sorted((box.y0 + text.get_position()[1] * box.height) * tall for text in texts)
        assert min((high - low for low, high in pairwise(places)), default=1.0) > 0.15
        assert all(0 < place < tall for place in places)
    assert sorted(labelled) == sorted(names)


def test_a_front_by_hand() -> None:
    seconds, means = np.array([4.0, 1.0, 2.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 1.5, 1.5])
    assert front(seconds, means, lower=True) == [1, 3, 0]
    assert front(seconds, -means, lower=False) == [1, 3, 0]
    assert front(seconds, means, lower=False) == [1]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_consists_of_the_points_that_no_other_point_dominates(points: list[tuple[int, int]]) -> None:
    seconds, means = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    there = {points[index] for index in front(seconds, means, lower=True)}
    for point in points:
        beaten = any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points)
        assert beaten is (point not in there)
