"""The report of a sweep of critics: names, tables, figures and the page."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from synthetic_transport import (
    CLIPPING,
    PENALTY,
    SORTING,
    W1,
    Method,
    Pairs,
    write_pairs,
)

from lipschitz.report.plots import curves
from lipschitz.report.plots.base import registered_plots
from lipschitz.report.plots.brackets import brackets
from lipschitz.report.plots.data import ComparisonData, SweepData, comparison_data
from lipschitz.report.plots.gallery import gallery
from lipschitz.report.plots.gradients import gradients
from lipschitz.report.plots.layers import effective_rank
from lipschitz.report.plots.look import report_style
from lipschitz.report.published.critics import CriticFamily
from lipschitz.report.reading.results import Results, load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import styles
from lipschitz.report.tables.build import build
from lipschitz.report.write import report

Draw = Callable[[CriticFamily], Figure | None]
PAIR = "published funnels, dim 2, 4 funnels"
LABEL = "funnels(published=True)"
SMALL = Pairs((CLIPPING, PENALTY, SORTING), (2,), (4,), seeds=(0, 1))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Five methods, dimensions 2 and 16, 4 and 64 funnels, three seeds."""
    return load(write_pairs(tmp_path_factory.mktemp("pairs")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_pairs(tmp_path_factory.mktemp("reported"), replace(SMALL, dims=(2, 16)))
    report(folder, limit_panels=18)
    return folder


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


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
    tables = build(Summary(loaded))
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
    assert values["optimal potential"] == ["1.5 ± 0"] * 3
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
    quality = build(Summary(loaded))[1]
    place = next(index for index, column in enumerate(quality.columns) if column.over.startswith("Cosine"))
    return {row[0].text for row in quality.rows if row[place].bold}


def test_the_best_critic_is_bold_if_all_have_the_same_budget(tmp_path: Path) -> None:
    assert bold(tmp_path / "equal", (PENALTY, SORTING)) == {SORTING.label}
    assert bold(tmp_path / "steps", (CLIPPING, PENALTY, SORTING)) == set()
    assert bold(tmp_path / "seconds", (CLIPPING, PENALTY, SORTING), 60.0) == {SORTING.label}


def test_empty_columns_of_cost_are_left_out(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, SMALL)
    loaded = load(folder)
    assert {column.head for column in build(Summary(loaded))[-2].columns}.isdisjoint({"× none", "MiB"})
    for path in folder.glob("timing/*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "cuda: synthetic"}))
    loaded = load(folder)
    assert build(Summary(loaded))[-2].columns[-1].head == "MiB"


def test_csv_files_keep_the_labels(folder: Path) -> None:
    for name in ("summary.csv", "records.csv"):
        table = pd.read_csv(folder / name)
        assert set(table["dataset"]) == {LABEL, "funnels(dim=16, published=True)"}
        assert set(table["setting"]) == {"adam(betas=[0.0, 0.9])"}


def test_each_method_is_shown_at_its_own_last_step(sweep: Results) -> None:
    data = comparison_data(Summary(sweep))[0]
    assert dict(data.final.groupby("constraint")["step"].max())[CLIPPING.label] == 1000
    with report_style():
        for figure in (gradients(data), effective_rank(data), brackets(data)):
            assert CLIPPING.label in texts(drawn(figure)) or CLIPPING.label in str(
                [tick.get_text() for tick in drawn(figure).axes[0].get_yticklabels()]
            )
        places = drawn(gradients(data)).axes
    assert [panel.get_title(loc="left") for panel in places] == ["P", "between", "Q"]
    colour = styles([CLIPPING.label])[CLIPPING.label].colour
    norms = []
    for panel in places:
        *_, means = (one for one in panel.collections if isinstance(one, PathCollection))
        x, colours = np.asarray(means.get_offsets())[:, 0], [to_hex(one) for one in means.get_facecolors()]
        norms += [float(value) for value, one in zip(x, colours, strict=True) if one == colour.lower()]
    assert norms == [0.9, 0.9, 0.9]


def test_seconds_are_critic_steps_only(sweep: Results) -> None:
    data = comparison_data(Summary(sweep))[0]
    with report_style():
        figure = drawn(curves.quality_by_seconds(data))
    ends = {
        round(float(np.asarray(line.get_xdata())[-1]), 6) for line in figure.axes[0].lines if len(line.get_xdata()) > 2
    }
    assert ends == {3.0, 6.0}
    assert "Not measured" not in texts(figure)


def test_an_axis_includes_the_floor_only_if_it_is_near_the_methods(sweep: Results) -> None:
    data: ComparisonData = comparison_data(Summary(sweep))[0]
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
    names = [picture.name for picture in gallery(SweepData(Summary(sweep)), registered_plots([]), 9, warnings)]
    # Four panels and two are more than half of nine, so that one other figure fits, and no headline.
    assert names == [
        "final_quality_published-funnels-dim-2-4-funnels",
        "final_quality_published-funnels-dim-2-64-funnels",
        "final_quality_published-funnels-dim-16-4-funnels",
        "final_quality_published-funnels-dim-16-64-funnels",
        "cosine_by_dimension_published-funnels",
        "quality_by_step_published-funnels-dim-2-4-funnels_critic",
    ]
    assert len(warnings) == 1


def test_the_page_begins_with_figures_and_tables_across_dimensions(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    heads = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    across = "Across settings, data sets and models"
    assert heads[:5] == ["Final quality", "Explore", across, PAIR, "published funnels, dim 16, 4 funnels"]
    for name in ("cosine_by_dimension", "w1_by_dimension", "potentials"):
        assert re.search(rf'src="plots/{name}_[^"]+\.svg"', page)
    tables = re.findall(r"<(?:h3|summary)>(.*?)</", page)
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
