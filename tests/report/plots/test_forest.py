"""The forest plot of final quality: order of the rows, seeds as dots, and open marks where a method is worse."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from synthetic import METHODS, Plan, dump, write_sweep

from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.final_quality import each_dataset, final_quality, final_quality_table
from lipschitz.report.plots.look import report_style
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.final_quality import FinalQuality
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import FAMILIES

CERTIFIED = ("bjorck", "aol", "soc", "cayley")


def drawn(folder: Path, methods: tuple[str, ...]) -> tuple[FinalQuality, Figure]:
    plan = Plan(("eight_gaussians",), methods, seeds=(0, 1, 2), evaluations=1, pictures=False)
    data = SweepData(Summary(load(write_sweep(folder, plan))))
    (subject,) = each_dataset(data)
    with report_style():
        figure = final_quality(subject.data)
    assert figure is not None
    return subject.data, figure


def labels(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_rows_are_sorted_and_every_seed_is_a_dot_below_its_mean(tmp_path: Path) -> None:
    found, figure = drawn(tmp_path, METHODS)
    (contest,) = found.contests
    means = {method.name: method.interval.mean for method in contest.methods}
    assert labels(figure) == sorted(means, key=means.__getitem__)
    rows = {name: place for place, name in enumerate(labels(figure))}
    for method in contest.methods:
        near = [
            line
            for line in figure.axes[0].lines
            if rows[method.name] < np.mean(line.get_ydata()) < rows[method.name] + 0.5
        ]
        (dots,) = near
        assert sorted(dots.get_xdata()) == sorted(method.seeds)
        assert len(method.seeds) == 3


def test_a_significantly_worse_method_is_open_and_real_data_is_a_line(tmp_path: Path) -> None:
    found, figure = drawn(tmp_path, METHODS)
    (contest,), axes = found.contests, figure.axes[0]
    assert contest.compared is not None
    assert contest.compared.worse
    assert contest.not_worse
    marks = {int(line.get_ydata()[0]): line for line in axes.lines if line.get_marker() == "o"}
    for place, name in enumerate(labels(figure)):
        assert (marks[place].get_markerfacecolor() == "white") is (name not in contest.not_worse)
    assert any(set(line.get_xdata()) == {found.floor} for line in axes.lines)


def test_many_methods_stand_under_the_titles_of_their_families(tmp_path: Path) -> None:
    _, figure = drawn(tmp_path, (*METHODS, *CERTIFIED))
    found = labels(figure)
    assert len(found) == len(METHODS) + len(CERTIFIED) + 6
    titles = {family.title for family in FAMILIES}
    starts = [place for place, text in enumerate(found) if text in titles]
    groups = [found[start + 1 : end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    assert set(CERTIFIED) in [set(group) for group in groups]
    assert sum(map(len, groups)) == len(METHODS) + len(CERTIFIED)


@pytest.mark.parametrize(("others", "markers"), [(("none",), "oo"), (("none", "bjorck"), "oox")])
def test_a_method_alone_has_a_cross_where_others_were_tested(
    tmp_path: Path, others: tuple[str, ...], markers: str
) -> None:
    plan = Plan(("eight_gaussians",), (*others, "aol"), seeds=(0, 1, 2), evaluations=1, pictures=False)
    folder = write_sweep(tmp_path, plan)
    for path in folder.glob("runs/*-aol-*/run.json"):
        run = json.loads(path.read_text())
        dump(path, {**run, "labels": run["labels"] | {"loss": "wasserstein"}})
    (subject,) = each_dataset(SweepData(Summary(load(folder))))
    table = final_quality_table(subject.data)
    assert set(table[table["method"] == "aol"]["significantly_worse"]) == {None}
    with report_style():
        assert sorted(mark.get_marker() for mark in means(final_quality(subject.data))) == list(markers)


def means(figure: Figure | None) -> list[Line2D]:
    assert figure is not None
    return [line for axes in figure.axes for line in axes.lines if line.get_marker() in ("o", "x")]


def test_the_table_has_a_row_a_seed_with_mean_ends_and_verdict(tmp_path: Path) -> None:
    found, _ = drawn(tmp_path, METHODS)
    table = final_quality_table(found)
    assert len(table) == 3 * len(METHODS)
    (contest,) = found.contests
    for name, rows in table.groupby("method"):
        assert rows["mean"].iloc[0] == pytest.approx(np.exp(np.log(rows["value"]).mean()))
        assert set(rows["significantly_worse"]) == {name not in contest.not_worse}
    assert pd.api.types.is_bool_dtype(table["significantly_worse"])


def test_the_bold_title_of_a_family_is_not_cut_where_it_is_wider_than_every_method(tmp_path: Path) -> None:
    methods = ("none", "frobenius_penalty", "weight_clipping", "gradient_penalty", "zero_gp", *CERTIFIED)
    _, figure = drawn(tmp_path, methods)
    renderer = FigureCanvasAgg(figure).get_renderer()
    left = {label.get_text(): label.get_window_extent(renderer).x0 for label in figure.axes[0].get_yticklabels()}
    assert min(left, key=left.__getitem__) == "penalised weights or outputs"
    assert min(left.values()) >= 0.05 * figure.dpi
