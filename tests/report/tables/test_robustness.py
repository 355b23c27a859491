"""Robustness over settings: the table and the figure of the tuning runs, which are shown nowhere else."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from synthetic import Plan, dump, write_sweep
from synthetic_settings import CLIPPED, FID, NONE, PLAN, edit, name, tried, tuned

from lipschitz.report.plots.by_setting import by_setting
from lipschitz.report.plots.look import report_style
from lipschitz.report.reading.comparisons import training_of
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.robustness import Method, Settings, settings_of
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.robustness import table
from lipschitz.report.write import report
from lipschitz.tasks.terms import Training


def only(folder: Path) -> Settings:
    (found,) = settings_of(Summary(load(folder)))
    return found


def drawn(found: Settings) -> list[Axes]:
    with report_style():
        figure = by_setting(found)
    assert figure is not None
    return figure.axes


def marks(axes: Axes, marker: str) -> list[tuple[float, float]]:
    lines = [line for line in axes.lines if line.get_marker() == marker]
    return [(float(np.ravel(line.get_xdata())[0]), float(np.ravel(line.get_ydata())[0])) for line in lines]


def cells(found: Settings) -> dict[str, list[str]]:
    return {row[0].text: [cell.text for cell in row[1:]] for row in table(found).rows}


def test_tuning_runs_are_shown_in_the_comparison_of_settings_only(tmp_path: Path) -> None:
    folder = tuned(tmp_path)
    report(folder)
    assert set(pd.read_csv(folder / "records.csv")["seed"]) == {0, 1, 2}
    assert set(pd.read_csv(folder / "summary.csv").query("metric == 'frechet_classifier'")["n"]) == {3}
    assert {path.stem for path in folder.glob("plots/by_setting*")} == {"by_setting_digits_tuning"}
    text = (folder / "plots" / "by_setting_digits_tuning.svg").read_text()
    assert "seeds 100, 101" in text
    assert "chosen by these runs, so that the best is optimistic; the tables hold other seeds" in text
    page, tables = (folder / "index.html").read_text(), (folder / "table.md").read_text()
    assert "by_setting_digits_tuning.svg" in page
    for said in (page, tables):
        assert "Means over seeds 100, 101 after the last step" in said
        assert "the other tables hold other seeds" in said
    heads = [line for line in tables.splitlines() if line.startswith("## ")]
    assert len([head for head in heads if "Robustness over settings" in head]) == 1
    assert [
        line for line in tables.splitlines() if line.startswith("| none | 3 | 0 | 9.95 (A) | 21.9 | 38.7 (C) | 28.8 |")
    ]


def test_a_sweep_without_a_selection_shows_its_own_runs(tmp_path: Path) -> None:
    found = only(tried(tmp_path))
    assert (found.tuned, found.suffix, found.picked) == (False, "digits", {})
    assert "other tables" not in table(found).caption
    assert load(tmp_path).tuning is None


def test_selected_settings_are_bold(tmp_path: Path) -> None:
    (axes,) = drawn(only(tuned(tmp_path)))
    labels = [(text.get_text(), text.get_fontweight()) for text in axes.get_yticklabels()]
    assert [setting for setting, _ in labels] == ["E", "A", "C", "E", "A", "C"]
    assert [place for place, (_, weight) in enumerate(labels) if weight == "bold"] == [1, 5]


def test_every_setting_has_its_mean_and_interval_in_the_order_of_the_sweep_file(tmp_path: Path) -> None:
    found = only(tried(tmp_path))
    (axes,) = drawn(found)
    assert [x for x, _ in sorted(marks(axes, "o"), key=lambda mark: mark[1])] == pytest.approx(
        [480**0.5, 99**0.5, 1500**0.5]
    )
    # Two seeds: t with one degree of freedom, 12.706, times the half-distance of their logarithms.
    interval = found.interval(Method(NONE, "hinge"), "A", FID)
    half = 12.7062 * math.log(11 / 9) / 2
    assert (interval.mean, interval.half_width) == (pytest.approx(99**0.5), pytest.approx(half, rel=1e-4))
    bands = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    ends = [(99**0.5, 1500**0.5), ((66 * 72) ** 0.5, (70 * 72) ** 0.5)]
    assert [(band.get_x(), band.get_x() + band.get_width()) for band in bands] == [pytest.approx(one) for one in ends]


def test_best_median_worst_and_range(tmp_path: Path) -> None:
    found = only(tried(tmp_path))
    assert cells(found)[NONE] == ["3", "0", "9.95 (A)", "21.9", "38.7 (C)", "28.8"]
    assert cells(found)[CLIPPED] == ["3", "0", "68.9 (C)", "69.0", "71.0 (E)", "2.06"]


def test_a_setting_with_a_diverged_seed_is_the_worst_and_drawn_as_a_cross(tmp_path: Path) -> None:
    folder = tried(tmp_path)
    edit(folder, name(NONE, "A", 100), FID, 0, "diverged")
    for seed in (100, 101):
        edit(folder, name(CLIPPED, "C", seed), FID, 0, "diverged")
    found = only(folder)
    assert cells(found)[NONE] == ["3", "1", "21.9 (E)", "38.7", "diverged (A)", "–"]
    assert cells(found)[CLIPPED][:2] == ["3", "1"]
    (axes,) = drawn(found)
    edge = axes.get_xlim()[1]
    crosses = marks(axes, "x")
    assert [x for x, _ in crosses] == [edge, edge]
    assert [text.get_text() for text in axes.texts].count("1 of 2") == 1
    # The other seed is shown where it ended, and the band reaches the edge.
    assert 11.0 in [x for x, _ in marks(axes, "o")]
    first = next(patch for patch in axes.patches if isinstance(patch, Rectangle))
    assert first.get_x() + first.get_width() == pytest.approx(edge)


def test_crosses_are_at_the_left_edge_if_higher_is_better(tmp_path: Path) -> None:
    ends = {("eight_gaussians", NONE, 1): "diverged"}
    plan = Plan(("eight_gaussians",), (NONE,), settings=("A", "C"), seeds=(0, 1), ends=ends, evaluations=1)
    found = only(write_sweep(tmp_path, plan))
    assert found.metrics == ["w1", "modes"]
    first, second = drawn(found)
    assert {x for x, _ in marks(first, "x")} == {first.get_xlim()[1]}
    assert {x for x, _ in marks(second, "x")} == {second.get_xlim()[0]}


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    for seeds, intervals in (((0,), 0), ((0, 1), 6)):
        plan = Plan(("digits",), (NONE, CLIPPED), settings=PLAN.settings, seeds=seeds, evaluations=1, pictures=False)
        found = only(tried(tmp_path / str(len(seeds)), plan))
        (axes,) = drawn(found)
        assert len(axes.collections) == intervals
        assert len(marks(axes, "o")) == 3


def test_losses_of_a_method_have_a_row_each(tmp_path: Path) -> None:
    plan = Plan(("digits",), (NONE, CLIPPED), ("hinge", "wasserstein"), ("A", "C"), (0,), 1, pictures=False)
    folder = write_sweep(tmp_path, plan)
    found = only(folder)
    assert [found.name(method) for method in found.methods] == [
        "none",
        "none, wasserstein",
        "weight_clipping",
        "weight_clipping, wasserstein",
    ]
    assert "hinge loss" in found.title
    assert table(found).notes == ["The loss is hinge unless another is named."]
    (axes,) = drawn(found)
    assert "none, wasserstein" in {text.get_text() for text in axes.texts}


def test_a_method_with_a_single_setting_is_left_out(tmp_path: Path) -> None:
    folder = tried(tmp_path)
    kept = [
        run for run in json.loads((folder / "sweep.json").read_text())["runs"] if CLIPPED not in run or "-C-" in run
    ]
    dump(folder / "sweep.json", {"name": "tried", "task": "generation", "runs": kept})
    assert [method.constraint for method in only(folder).methods] == [NONE]
    dump(folder / "sweep.json", {"name": "tried", "task": "generation", "runs": [run for run in kept if "-C-" in run]})
    assert settings_of(Summary(load(folder))) == []


def test_runs_with_another_budget_are_left_out(tmp_path: Path) -> None:
    folder = tried(tmp_path)
    for setting in ("A", "C"):
        for path in folder.glob(f"runs/*-{setting}-*/run.json"):
            run = json.loads(path.read_text())
            run["run"]["training"]["steps"] = 7
            path.write_text(json.dumps(run))
    found = only(folder)
    assert list(found.settings) == ["A", "C"]


def train(folder: Path, runs: str, **fields: object) -> None:
    """Write into the definitions of ``runs``, a pattern, how they were trained."""
    paths = list(folder.glob(f"runs/{runs}/run.json"))
    assert paths
    for path in paths:
        run = json.loads(path.read_text())
        run["run"]["training"] |= fields
        path.write_text(json.dumps(run))


def test_missing_fields_of_older_runs_are_no_other_budget(tmp_path: Path) -> None:
    folder = tried(tmp_path)
    train(folder, f"*-{CLIPPED}-*", precision="float32", seconds=None, ema=None, generator_batch_size=None)
    found = only(folder)
    assert [method.constraint for method in found.methods] == [NONE, CLIPPED]
    assert found.title == "digits  ·  dcgan(width=16), hinge loss"
    train(folder, f"*-{CLIPPED}-*", precision="bf16")
    assert len(settings_of(Summary(load(folder)))) == 2


def test_missing_fields_of_older_runs_have_their_defaults() -> None:
    def defaults(budget: dict[str, int]) -> dict[str, object]:
        return {name: value for name, value in Training(**budget).model_dump(mode="json").items() if value is not None}

    old = training_of({"training": {"steps": 9, "batch_size": 64}})
    assert old == training_of({"training": defaults({"steps": 9})})


def test_titles_name_the_training_fields_that_differ(tmp_path: Path) -> None:
    plan = Plan(("digits",), (NONE, CLIPPED), settings=("A", "C"), seeds=(0,), evaluations=1, pictures=False)
    folder = write_sweep(tmp_path, plan)
    train(folder, f"*-{NONE}-*", steps=7, precision="tf32", ema=0.999)
    first, second = settings_of(Summary(load(folder)))
    assert first.title == "digits  ·  dcgan(width=16), hinge loss, ema 0.999, precision tf32, steps 7"
    assert second.title == "digits  ·  dcgan(width=16), hinge loss, precision float32, steps 400"
    assert (first.suffix, second.suffix) == ("digits", "digits_2")
    assert first.title in table(first).title


def test_a_setting_with_a_value_that_is_not_finite_is_the_worst(tmp_path: Path) -> None:
    folder = tried(tmp_path)
    edit(folder, name(NONE, "C", 100), FID, None)
    edit(folder, name(NONE, "C", 101), FID, 5.0)
    found = only(folder)
    # Of seeds with a value its mean would be the best of all.
    assert found.interval(Method(NONE, "hinge"), "C", FID).mean == 5.0
    assert cells(found)[NONE] == ["3", "0", "9.95 (A)", "21.9", "not finite (C)", "–"]
    assert "so does one at which a seed finished without a finite value" in table(found).caption
    (axes,) = drawn(found)
    assert [x for x, _ in marks(axes, "x")] == [axes.get_xlim()[1]]
    assert "1 of 2" in {text.get_text() for text in axes.texts}
    edit(folder, name(NONE, "A", 100), FID, 0, "diverged")
    said = "diverged or not finite"
    assert cells(only(folder))[NONE] == ["3", "1", "21.9 (E)", said, f"{said} (A, C)", "–"]
    for seed in (100, 101):
        for setting in ("E", "A", "C"):
            edit(folder, name(CLIPPED, setting, seed), FID, None)
    assert cells(only(folder))[CLIPPED][2] == "not finite (E, A, C)"


def test_an_infinite_value_is_never_the_best(tmp_path: Path) -> None:
    plan = Plan(("eight_gaussians",), (NONE,), settings=("A", "C"), seeds=(0, 1), evaluations=1, pictures=False)
    folder = write_sweep(tmp_path, plan)
    edit(folder, f"eight_gaussians-hinge-A-{NONE}-0", "modes", "inf")
    found = only(folder)
    assert found.metrics[1] == "modes"
    assert cells(found)[NONE][8] == "not finite (A)"


@pytest.mark.parametrize(("at", "said"), [("best", True), ("last", False), (None, False)])
def test_a_selection_by_the_best_step_is_noted(tmp_path: Path, at: str | None, said: bool) -> None:
    folder = tuned(tmp_path)
    definition = json.loads((folder / "sweep.json").read_text())
    for choice in definition["chosen"] if at else []:
        choice["at"] = at
    dump(folder / "sweep.json", definition)
    words = "at the best step of each run, not the last."
    assert table(only(folder)).caption.endswith(words) is said


def test_unfinished_runs_are_noted(tmp_path: Path) -> None:
    folder = tried(tmp_path)
    for seed in (100, 101):
        (folder / "runs" / name(NONE, "C", seed) / "result.json").unlink()
    (folder / "runs" / name(CLIPPED, "A", 100) / "result.json").unlink()
    found = only(folder)
    assert found.settings_of(Method(NONE, "hinge")) == ["E", "A"]
    said = "Not included, because they did not end: 2 of none (C), 1 of weight_clipping (A)."
    assert table(found).notes == [said]
    assert cells(found)[NONE][0] == "2"
