"""The figures of a comparison: which are drawn, what they show, and how labels and panels are placed."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import Reported
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import Polygon
from synthetic import METHODS, Plan, write_sweep

from lipschitz.report.plots import curves
from lipschitz.report.plots.base import each_comparison, registered_plots
from lipschitz.report.plots.brackets import brackets, final_bounds
from lipschitz.report.plots.data import ComparisonData, RunArrays, SweepData, comparison_data
from lipschitz.report.plots.gallery import gallery
from lipschitz.report.plots.lines import spread
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.panels import balanced_columns, log_tick
from lipschitz.report.plots.samples import mosaic, panel_title
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary

NAMES = [one.name for one in registered_plots([]) if one.scope is each_comparison]
OF_CLASSIFIERS = ("robust_accuracy", "accuracy_by_lipschitz", "gap_by_weight")
PLAN = Plan(("eight_gaussians",), ("none", "gradient_penalty"), seeds=(0, 1))


def data_of(folder: Path) -> ComparisonData:
    return comparison_data(Summary(load(folder)))[0]


@pytest.mark.parametrize("family", [name for name in NAMES if name not in ("surface", "samples", *OF_CLASSIFIERS)])
@pytest.mark.parametrize("dataset", ["eight_gaussians", "digits"])
def test_every_figure_names_its_data_set_and_every_method(reported: Reported, family: str, dataset: str) -> None:
    text = (reported.folder / "plots" / f"{family}_{dataset}.svg").read_text()
    assert dataset in text
    assert all(name in text for name in METHODS)


def test_a_diverged_seed_is_counted_in_the_label(reported: Reported) -> None:
    text = (reported.folder / "plots" / "quality_by_step_eight_gaussians.svg").read_text()
    assert "weight_clipping  (n = 2, 1 diverged)" in text
    assert "real data" in text


def test_every_figure_comes_in_three_formats(reported: Reported) -> None:
    files = {path.name for path in (reported.folder / "plots").iterdir()}
    stems = {Path(name).stem for name in files}
    drawn = {name for name in files if not name.endswith(".csv")}
    assert drawn == {f"{stem}.{kind}" for stem in stems for kind in ("svg", "pdf", "png")}
    # Pictures have no numbers to show as a table.
    without = {stem for stem in stems if f"{stem}.csv" not in files}
    assert {stem.partition("_")[0] for stem in without} == {"samples", "surface", "spectra"}
    assert {"samples_digits", "samples_eight_gaussians", "surface_eight_gaussians"} <= stems
    assert "surface_digits" not in stems


def test_a_bracket_has_the_means_of_the_table(tmp_path: Path) -> None:
    data = data_of(write_sweep(tmp_path, PLAN))
    table = (
        Summary(data.results).frame.query("which == 'last'").pivot(index="constraint", columns="metric", values="mean")
    )
    bounds = final_bounds(data)
    for bound in ("lipschitz_lower", "lipschitz_upper"):
        assert bounds[bound].to_dict() == pytest.approx(table.loc[bounds.index, bound].to_dict())


def test_the_ends_of_a_bracket_are_geometric_means_of_the_bounds(tmp_path: Path) -> None:
    data = data_of(write_sweep(tmp_path, PLAN))
    last = data.results.outcomes[data.results.outcomes["which"] == "last"]
    with report_style():
        figure = brackets(data)
    assert figure is not None
    (axes,) = figure.axes
    right = axes.get_xlim()[1]
    marks = {
        (round(line.get_ydata()[0]), float(line.get_xdata()[0])) for line in axes.lines if len(line.get_xdata()) == 1
    }
    expected = set()
    for place, name in enumerate(PLAN.constraints):
        of_runs = last[last["run"].isin(data.runs.index[data.runs["constraint"] == name])]
        for bound in ("lipschitz_lower", "lipschitz_upper"):
            mean = float(np.exp(np.log(of_runs.loc[of_runs["metric"] == bound, "value"]).mean()))
            expected.add((place, mean if np.isfinite(mean) else right))
    assert {
        (place, pytest.approx(value)) == found
        for (place, value), found in zip(sorted(expected), sorted(marks), strict=True)
    } == {True}
    assert [text.get_text() for text in axes.texts][1] == "× ∞"


def test_seconds_are_steps_times_the_time_of_the_serial_pass(tmp_path: Path) -> None:
    data = data_of(write_sweep(tmp_path, PLAN))
    with report_style():
        figure = curves.quality_by_seconds(data)
    assert figure is not None
    ends = {
        round(float(np.asarray(line.get_xdata())[-1]), 6) for line in figure.axes[0].lines if len(line.get_xdata()) == 6
    }
    assert ends == {round(2000 * (3.0 * cost + 2.5) / 1000, 6) for cost in (1.0, 1.9)}


def test_a_method_that_was_not_timed_is_left_out_and_named(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    (folder / "timing" / "eight_gaussians-hinge-C-none.json").write_text(json.dumps({"n_dis": 1}))
    with report_style():
        figure = curves.quality_by_seconds(data_of(folder))
    assert figure is not None
    assert any("Not measured: none." in text.get_text() for text in figure.texts)


def test_a_dollar_sign_in_a_label_is_not_read_as_a_formula(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, Plan(("eight_gaussians",), ("none", r"odd($\frac$=<1>&2)"), seeds=(0,)))
    pictures = list(gallery(SweepData(Summary(load(folder))), registered_plots([]), None, []))
    assert len(pictures) == 1 + len(NAMES) - len(OF_CLASSIFIERS)
    assert r"odd($\frac$=&lt;1&gt;&amp;2)" in pictures[0].files["svg"].decode()


def test_a_warning_says_how_many_figures_were_left_out(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    warnings: list[str] = []
    pictures = gallery(SweepData(Summary(load(folder))), registered_plots([]), 1, warnings)
    assert [picture.name for picture in pictures] == ["final_quality_eight_gaussians"]
    assert len(warnings) == 1
    assert f"up to {len(NAMES)} more figures" in warnings[0]


def test_comparisons_are_never_mixed(tmp_path: Path) -> None:
    plan = Plan(("eight_gaussians",), ("none",), losses=("hinge", "minimax"), settings=("A", "C"), seeds=(0, 1))
    found = comparison_data(Summary(load(write_sweep(tmp_path, plan))))
    assert [data.slug for data in found] == [
        f"eight_gaussians_{loss}_{setting}" for loss in ("hinge", "minimax") for setting in ("A", "C")
    ]
    assert all(set(data.curves["n"]) == {2} for data in found)


@given(st.lists(st.floats(-2, 2), max_size=20), st.floats(0.01, 0.2))
def test_spread_keeps_the_order_of_labels_and_a_gap_between_them(wanted: list[float], gap: float) -> None:
    places = spread(wanted, [gap] * len(wanted))
    placed = sorted(places)
    assert all(high - low >= gap - 1e-9 for low, high in pairwise(placed))
    assert max(places, default=0.0) <= 1
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    assert [places[index] for index in order] == placed


@pytest.mark.parametrize(("number", "columns"), [(1, 1), (4, 4), (5, 3), (6, 3), (7, 4), (8, 4), (9, 3)])
def test_panels_are_balanced(number: int, columns: int) -> None:
    assert balanced_columns(number, 4) == columns


def test_more_than_eight_methods_are_drawn_without_intervals(tmp_path: Path) -> None:
    for count, banded in ((8, True), (9, False)):
        names = tuple(f"gradient_penalty(weight={weight}.0)" for weight in range(count))
        data = data_of(write_sweep(tmp_path / str(count), Plan(("eight_gaussians",), names, seeds=(0, 1))))
        with report_style():
            figure = curves.quality_by_step(data)
        assert figure is not None
        assert any("95 % interval" in text.get_text() for text in figure.texts) is banded
        assert any(isinstance(artist, Polygon) for artist in figure.axes[0].get_children()) is banded


def test_mosaic_places_images_row_by_row() -> None:
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), dtype=np.uint8)
    sheet = mosaic(images)
    assert sheet.shape == (6 * 3 - 1, 6 * 4 - 1)
    assert (sheet[3:5, 4:7] == 7).all()
    assert (sheet[2] == 128).all()


def test_a_long_title_is_broken_after_brackets_and_commas() -> None:
    label = "spectral_normalization(power_iterations=5, epsilon=1e-06)+gradient_penalty(weight=0.5)"
    lines = panel_title(RunArrays(label, 3, "diverged", {})).split("\n")
    assert "".join(lines) == f"{label}, seed 3, diverged"
    assert max(map(len, lines)) <= 34
    assert lines[:2] == ["spectral_normalization(", "power_iterations=5, "]


def test_ticks_of_a_logarithmic_axis() -> None:
    assert [log_tick(value, 0) for value in (1e-10, 1e-4, 0.01, 0.3, 100.0, 1e5)] == [
        "10⁻¹⁰",
        "10⁻⁴",
        "0.01",
        "0.3",
        "100",
        "10⁵",
    ]


@pytest.mark.parametrize("name", ["quality_by_step", "gradients", "sigma", "brackets", "final_quality"])
def test_a_figure_of_one_seed_speaks_of_no_mean_and_no_interval(tmp_path: Path, name: str) -> None:
    plan = Plan(("digits",), ("none", "gradient_penalty"), seeds=(0,), evaluations=2, pictures=False)
    data = SweepData(Summary(load(write_sweep(tmp_path, plan))))
    (chosen,) = [one for one in registered_plots([]) if one.name == name]
    (picture,) = gallery(data, [chosen], None, [], kinds=["svg"])
    text = picture.text.replace("geometric for", "geometric mean")
    assert "one seed" in text.lower()
    assert "geometric mean" not in text
    assert "interval" not in text.replace("no interval", "")
