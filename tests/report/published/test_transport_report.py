"""The report of a sweep of critics: names, tables, figures and the page."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from synthetic_transport import (
    CLIPPING,
    METHODS,
    NORMALIZATION,
    ONE_SIDED,
    PENALTY,
    SORTING,
    W1,
    Method,
    Pairs,
    surfaces,
    write_pairs,
)

from lipschitz.report.plots import curves
from lipschitz.report.plots.brackets import brackets
from lipschitz.report.plots.by_dimension import cosine_as_published, cosine_by_dimension, w1_by_dimension
from lipschitz.report.plots.data import ComparisonData, SweepData, comparison_data
from lipschitz.report.plots.gallery import gallery
from lipschitz.report.plots.gradients import gradients
from lipschitz.report.plots.layers import effective_rank
from lipschitz.report.plots.panels import report_style
from lipschitz.report.plots.surfaces import CriticsOfPair, potentials
from lipschitz.report.published.critics import Family, families
from lipschitz.report.reading.results import Results, load
from lipschitz.report.statistics.summary import summarise
from lipschitz.report.style import GREY, styles
from lipschitz.report.tables.build import build
from lipschitz.report.write import report

Draw = Callable[[Family], Figure | None]
PAIR = "published funnels, dim 2, 4 funnels"
LABEL = "funnels(published=True)"
SMALL = Pairs((CLIPPING, PENALTY, SORTING), (2,), (4,), seeds=(0, 1))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Five methods, dimensions 2 and 16, 4 and 64 funnels, three seeds."""
    return load(write_pairs(tmp_path_factory.mktemp("pairs")))


@pytest.fixture(scope="module")
def family(sweep: Results) -> Family:
    (family,) = families(sweep)
    return family


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_pairs(tmp_path_factory.mktemp("reported"), replace(SMALL, dims=(2, 16)))
    report(folder, limit_panels=18)
    return folder


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def marks(figure: Figure, panel: int, label: str, hollow: bool = False) -> list[tuple[float, float]]:
    """Return dimension (to the nearest power of two) and value of each marker of a constraint in a panel."""
    axes, style = figure.axes[panel], styles([one.label for one in METHODS])[label]
    lines = [
        line
        for line in axes.lines
        if line.get_color() == style.colour
        and line.get_marker() == style.marker
        and (line.get_markerfacecolor() == "none") is hollow
        and line.get_transform() == axes.transData
    ]
    return [
        (2.0 ** round(np.log2(x)), float(y)) for line in lines for x, y in zip(*line.get_data(orig=True), strict=True)
    ]


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in [*figure.texts, *(one for axes in figure.axes for one in axes.texts)])


def test_the_floor_is_the_optimal_potential(folder: Path) -> None:
    summary = pd.read_csv(folder / "summary.csv")
    floor = summary[(summary["constraint"] == "optimal potential") & (summary["dataset"] == LABEL)]
    assert "real data" not in set(summary["constraint"])
    # Both models share the floor.
    assert list(floor.loc[floor["metric"] == "w1_dual", "mean"]) == [W1, W1]
    assert "| optimal potential |" in (folder / "table.md").read_text()
    for name in ("plots/quality_by_step_published-funnels-dim-2-4-funnels_critic.svg", "index.html"):
        assert "optimal potential" in (folder / name).read_text().lower()
        assert "real data" not in (folder / name).read_text().lower()


def test_tables_of_a_pair_with_all_models(tmp_path: Path) -> None:
    loaded = load(write_pairs(tmp_path, SMALL))
    tables = build(loaded, summarise(loaded))
    where = f"{PAIR} (loss wasserstein, setting adam, rate 0.0002, betas 0/0.9, batch 1024)"
    assert [table.title for table in tables] == [
        f"Overview: {where}",
        f"Quality: {where}",
        f"W1 by the critic after the last step, true W1 1.50: {where}",
        f"Constraint and cost: {where}",
        f"Steps and seconds to reach Cosine to the optimal gradient ≥ 0.903: {where}",
    ]
    _, quality, distance, cost, _ = tables
    assert [column.head for column in quality.columns] == [
        *("Constraint", "Model", "Steps", "n", "Diverged"),
        *("last", "best") * 3,
    ]
    assert [column.over.rstrip(" ↑↓") for column in quality.columns[5::2]] == [
        "Cosine to the optimal gradient",
        "Squared gradient error",
        "Relative error of W1",
    ]
    said = {row[0].text: [cell.text for cell in row[1:3]] for row in quality.rows}
    assert said == {
        CLIPPING.label: ["critic", "1000"],
        PENALTY.label: ["critic", "2000"],
        SORTING.label: ["critic, activation full_sort", "2000"],
        "optimal potential": ["", ""],
    }
    values = {row[0].text: [cell.text for cell in row[-3:]] for row in distance.rows}
    assert values["optimal potential"] == ["1.50 ± 0"] * 3
    mean = W1 * (0.9 - 0.002 + 0.005)
    assert values[PENALTY.label][0].startswith(f"{mean:.2f}")
    assert "Critic step" in {column.over for column in cost.columns}


def bold(folder: Path, methods: tuple[Method, ...], seconds: float | None = None) -> set[str]:
    write_pairs(folder, replace(SMALL, methods=methods))
    for path in folder.glob("runs/*/run.json"):
        definition = json.loads(path.read_text())
        definition["run"]["training"]["seconds"] = seconds
        path.write_text(json.dumps(definition))
    loaded = load(folder)
    quality = build(loaded, summarise(loaded))[1]
    place = next(index for index, column in enumerate(quality.columns) if column.over.startswith("Cosine"))
    return {row[0].text for row in quality.rows if row[place].bold}


def test_the_best_critic_is_bold_if_all_have_the_same_budget(tmp_path: Path) -> None:
    assert bold(tmp_path / "equal", (PENALTY, SORTING)) == {SORTING.label}
    assert bold(tmp_path / "steps", (CLIPPING, PENALTY, SORTING)) == set()
    assert bold(tmp_path / "seconds", (CLIPPING, PENALTY, SORTING), 60.0) == {SORTING.label}


def test_empty_columns_of_cost_are_left_out(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, SMALL)
    loaded = load(folder)
    assert {column.head for column in build(loaded, summarise(loaded))[-2].columns}.isdisjoint({"× none", "MiB"})
    for path in folder.glob("timing/*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "cuda: synthetic"}))
    loaded = load(folder)
    assert build(loaded, summarise(loaded))[-2].columns[-1].head == "MiB"


def test_csv_files_keep_the_labels(folder: Path) -> None:
    for name in ("summary.csv", "records.csv"):
        table = pd.read_csv(folder / name)
        assert set(table["dataset"]) == {LABEL, "funnels(dim=16, published=True)"}
        assert set(table["setting"]) == {"adam(betas=[0.0, 0.9])"}


@pytest.mark.parametrize(("draw", "floor"), [(cosine_by_dimension, 1.0), (cosine_as_published, 0.882)])
def test_cosines_by_dimension_and_number_of_funnels(family: Family, draw: Draw, floor: float) -> None:
    with report_style():
        figure = drawn(draw(family))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["4 funnels", "64 funnels"]
    for panel, theirs in ((0, [(2, 0.845), (16, 0.964)]), (1, [(2, 0.355), (16, 0.785)])):
        # The synthetic seeds end at .90, .91 and .92, less a thousandth a dimension.
        assert marks(figure, panel, PENALTY.label) == [(2, pytest.approx(0.908)), (16, pytest.approx(0.894))]
        hollow = marks(figure, panel, PENALTY.label, hollow=True)
        assert hollow == (theirs if draw is cosine_as_published else [])
        assert [[floor, floor]] == [
            list(line.get_ydata()) for line in figure.axes[panel].lines if line.get_color() == GREY
        ]
        assert figure.axes[panel].get_xscale() == "log"
        assert [tick.get_text() for tick in figure.axes[panel].get_xticklabels()] == ["2", "16"]
    assert all(method.label in texts(figure) for method in METHODS)
    assert "3 seeds" in texts(figure)
    assert "dashed: critic, activation full_sort" in texts(figure)


def test_published_cosines_are_drawn_only_with_cosines_measured_as_published(tmp_path: Path) -> None:
    (found,) = families(load(write_pairs(tmp_path, replace(SMALL, dims=(2, 16), as_published=False))))
    with report_style():
        assert cosine_as_published(found) is None
        assert marks(drawn(cosine_by_dimension(found)), 0, PENALTY.label, hollow=True) == []


def test_the_certified_w1_is_filled_and_the_dual_value_grey(family: Family) -> None:
    with report_style():
        figure = drawn(w1_by_dimension(family))
    # The synthetic critic's W1 is its cosine times the true one, and Lip(D) lies between 0.8 and 2.
    assert marks(figure, 0, SORTING.label) == [(2, pytest.approx(0.958 / 2)), (16, pytest.approx(0.944 / 2))]
    grey = [
        list(line.get_ydata())
        for line in figure.axes[0].lines
        if line.get_color() == GREY and line.get_marker() == styles([SORTING.label])[SORTING.label].marker
    ]
    assert grey == [[pytest.approx(0.958), pytest.approx(0.944)]]
    assert marks(figure, 0, SORTING.label, hollow=True) == [(16, pytest.approx(1.89 / 1.94))]
    colour = mpl.colors.to_rgb(styles([SORTING.label])[SORTING.label].colour)
    bars = [
        segment[:, 1]
        for bar in figure.axes[0].collections
        if tuple(bar.get_color()[0][:3]) == pytest.approx(colour)
        for segment in bar.get_segments()
    ]
    np.testing.assert_allclose(
        sorted(map(tuple, bars)), [(0.944 / 2, 0.944 / 0.8), (0.958 / 2, 0.958 / 0.8)], atol=1e-9
    )


def test_a_w1_below_zero_does_not_hide_the_others(tmp_path: Path) -> None:
    cosines = {(CLIPPING.label, dim, 4): (-0.01, -0.01) for dim in (2, 16)}
    plan = replace(SMALL, dims=(2, 16), cosines=cosines | {(PENALTY.label, 2, 4): (0.001, 0.001)})
    (found,) = families(load(write_pairs(tmp_path, plan)))
    with report_style():
        figure = drawn(w1_by_dimension(found))
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylim()[0] > 0


def test_one_constraint_on_two_critics_has_two_lines(tmp_path: Path) -> None:
    both = replace(SMALL, methods=(PENALTY, replace(PENALTY, activation="full_sort"), SORTING), dims=(2, 16))
    (found,) = families(load(write_pairs(tmp_path, both)))
    assert list(found.series_names.values()) == [
        "gradient_penalty, critic",
        "gradient_penalty, critic, activation full_sort",
        "sorting out (orthogonal, full_sort)",
    ]
    with report_style():
        figure = drawn(cosine_by_dimension(found))
    colour = styles([PENALTY.label])[PENALTY.label].colour
    dashes = {
        line.get_linestyle()
        for line in figure.axes[0].lines
        if line.get_color() == colour and len(line.get_xdata()) == 2
    }
    assert {"-", "--"} <= dashes


def test_one_dimension_has_no_figure_by_dimension(tmp_path: Path) -> None:
    (found,) = families(load(write_pairs(tmp_path, SMALL)))
    with report_style():
        assert cosine_by_dimension(found) is cosine_as_published(found) is w1_by_dimension(found) is None


def contours(artist: object) -> list[float]:
    return list(artist.levels) if isinstance(artist, QuadContourSet) else []


def test_critics_are_drawn_with_the_optimal_potential(family: Family) -> None:
    with report_style():
        figure = drawn(potentials(CriticsOfPair(family, LABEL)))
        assert potentials(CriticsOfPair(family, "funnels(dim=16, published=True)")) is None
    titles = [axes.get_title(loc="left").replace("\n", "") for axes in figure.axes]
    assert titles == [
        CLIPPING.label,
        PENALTY.label,
        ONE_SIDED.label,
        NORMALIZATION.label,
        "sorting out (orthogonal, full_sort)",
        "optimal potential",
    ]
    levels = [sorted({float(level) for one in axes.collections for level in contours(one)}) for axes in figure.axes]
    # The synthetic potential spans about 3.7, so that lines are .3 apart.
    assert all(np.diff(found) == pytest.approx(0.3) for found in levels)
    assert len(levels[-1]) == 12
    assert "Level lines are 0.3 apart in all panels" in texts(figure)
    np.testing.assert_array_equal(figure.axes[-1].images[0].get_array(), surfaces(1.0)["surface_true"])
    assert figure.axes[-1].get_xlabel().startswith("Potential from")
    assert "Seed 0." in texts(figure)


def test_a_diverged_critic_is_named_in_its_panel(tmp_path: Path) -> None:
    ends = {(PENALTY.label, 2, 4, seed): "diverged" for seed in (0, 1)}
    (found,) = families(load(write_pairs(tmp_path, replace(SMALL, ends=ends))))
    with report_style():
        figure = drawn(potentials(CriticsOfPair(found, LABEL)))
    titles = [axes.get_title(loc="left").replace("\n", "") for axes in figure.axes]
    assert titles[1] == "gradient_penalty, seed 0, diverged"
    assert titles[0].endswith("seed 0")


def test_each_method_is_shown_at_its_own_last_step(sweep: Results) -> None:
    data = comparison_data(sweep)[0]
    assert dict(data.final.groupby("constraint")["step"].max())[CLIPPING.label] == 1000
    with report_style():
        for figure in (gradients(data), effective_rank(data), brackets(data)):
            assert CLIPPING.label in texts(drawn(figure)) or CLIPPING.label in str(
                [tick.get_text() for tick in drawn(figure).axes[0].get_yticklabels()]
            )
        places = drawn(gradients(data)).axes[0]
    assert [tick.get_text() for tick in places.get_xticklabels()] == ["P", "between", "Q"]
    heads = [line for line in places.lines if line.get_color() == styles([CLIPPING.label])[CLIPPING.label].colour]
    assert [list(line.get_ydata()) for line in heads] == [[0.9, 0.9, 0.9]]


def test_seconds_are_critic_steps_only(sweep: Results) -> None:
    data = comparison_data(sweep)[0]
    with report_style():
        figure = drawn(curves.quality_by_seconds(data))
    ends = {
        round(float(np.asarray(line.get_xdata())[-1]), 6) for line in figure.axes[0].lines if len(line.get_xdata()) > 2
    }
    assert ends == {3.0, 6.0}
    assert "Not measured" not in texts(figure)


def test_an_axis_includes_the_floor_only_if_it_is_near_the_methods(sweep: Results) -> None:
    data: ComparisonData = comparison_data(sweep)[0]
    with report_style():
        figure = drawn(curves.quality_by_step(data))
    cosine, l2, error = figure.axes
    assert [axes.get_ylabel().replace("\n", " ") for axes in (cosine, l2, error)] == [
        "Cosine to the optimal gradient ↑",
        "Squared gradient error ↓",
        "Relative error of W1",
    ]
    # All cosines begin at zero; the floor, one, is worth an axis that reaches it.
    assert cosine.get_yscale() == "linear"
    assert cosine.get_ylim()[1] > 1
    assert "optimal potential" in [text.get_text() for text in cosine.texts]
    assert l2.get_ylim()[0] > 1e-3
    assert "optimal potential" not in [text.get_text() for text in l2.texts]


def test_figures_of_the_whole_sweep_come_first_and_count_for_the_limit(sweep: Results) -> None:
    warnings: list[str] = []
    names = [picture.name for picture in gallery(SweepData(sweep), 9, warnings)]
    # Three times two panels are more than half of nine, so that one other figure fits, and no headline.
    assert names == [
        "cosine_by_dimension_published-funnels",
        "cosine_as_published_published-funnels",
        "w1_by_dimension_published-funnels",
        "quality_by_seconds_published-funnels-dim-2-4-funnels_critic",
    ]
    assert len(warnings) == 1


def test_the_page_begins_with_figures_and_tables_across_dimensions(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    heads = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert heads[:3] == ["Across settings, data sets and models", PAIR, "published funnels, dim 16, 4 funnels"]
    for name in ("cosine_by_dimension", "w1_by_dimension", "potentials"):
        assert re.search(rf'src="plots/{name}_[^"]+\.svg"', page)
    tables = re.findall(r"<h3>(.*?)</h3>", page)
    assert sum("published and ours" in table for table in tables) == 4
    assert "mean ± t s sqrt(1 + 1/n)" in page
    assert "critic, wasserstein loss, setting adam, rate 0.0002, betas 0/0.9" in tables
    assert f"<td>{PAIR}</td><td>cosine, l2</td><td>of: the optimal plan, samples: 4096</td>" in page
    assert "<td>cosine_float32, l2_float32</td>" in page
    assert not list((folder / "plots").glob("samples*"))
    assert not list((folder / "plots").glob("surface*"))
    assert all((folder / source).is_file() for source in re.findall(r'src="([^"]+)"', page))


def test_published_tables_are_in_markdown_and_latex(folder: Path) -> None:
    title = "Cosine to the optimal gradient"
    assert f"## {title} ↑, published and ours" in (folder / "table.md").read_text()
    latex = (folder / "table.tex").read_text()
    assert rf"\caption{{{title} $\uparrow$, published and ours" in latex
    assert "U+" not in latex
    assert "Korotin et al. 2022" in latex


def test_reporting_twice_gives_the_same_bytes(folder: Path) -> None:
    def written() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in [*folder.glob("plots/*"), *folder.glob("*.*")]}

    first = written()
    report(folder, limit_panels=18)
    assert written() == first


def test_a_sweep_without_a_finished_run_is_reported(tmp_path: Path) -> None:
    ends = {(one.label, 2, 4, seed): "running" for one in SMALL.methods for seed in (0, 1)}
    folder = write_pairs(tmp_path, replace(SMALL, ends=ends))
    assert len(report(folder)) == 1
    assert 'id="across"' not in (folder / "index.html").read_text()
