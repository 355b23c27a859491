"""Numbers of the interactive figures: those of the summary, thinned to a limit, safe inside a script."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from synthetic import METHODS, Plan, write_sweep

from lipschitz.report.interactive.figure_data import as_script, figure_data
from lipschitz.report.plots.data import SweepData
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import styles

ENDS = {("eight_gaussians", "weight_clipping", 1): "diverged"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SweepData:
    return SweepData(Summary(load(write_sweep(tmp_path_factory.mktemp("data"), Plan(pictures=False, ends=ENDS)))))


@pytest.fixture(scope="module")
def found(data: SweepData) -> dict[str, Any]:
    return figure_data(data)


def count(found: dict[str, Any]) -> int:
    numbers = 0
    for one in found["comparisons"]:
        numbers += sum(4 + len(row[5]) if len(row) > 5 else 4 for rows in one["final"].values() for row in rows)
        numbers += sum(4 * len(row[1]) for rows in one["curves"].values() for row in rows)
    return numbers


def test_methods_have_the_colours_of_the_static_figures(found: dict[str, Any]) -> None:
    assert [(one["label"], one["colour"]) for one in found["methods"]] == [
        (label, style.colour) for label, style in styles(METHODS).items()
    ]


def test_final_values_are_those_of_the_summary(data: SweepData, found: dict[str, Any]) -> None:
    frame = data.summary.frame
    row = frame[
        (frame["metric"] == "w1") & (frame["constraint"] == "gradient_penalty") & (frame["which"] == "last")
    ].iloc[0]
    place = [one["label"] for one in found["methods"]].index("gradient_penalty")
    (shown,) = [one for one in found["comparisons"][0]["final"]["w1"] if one[0] == place]
    assert shown[1:4] == pytest.approx([row["mean"], row["low"], row["high"]], rel=1e-3)
    assert (shown[4], len(shown[5])) == (3, 3)
    assert math.exp(sum(map(math.log, shown[5])) / 3) == pytest.approx(shown[1], rel=1e-3)


def test_diverged_seeds_are_in_no_value_but_in_the_label(found: dict[str, Any]) -> None:
    place = [one["label"] for one in found["methods"]].index("weight_clipping")
    first = found["comparisons"][0]
    (row,) = [one for one in first["final"]["w1"] if one[0] == place]
    assert (row[4], len(row[5])) == (2, 2)
    assert first["labels"][place] == "weight_clipping (n = 2, 1 diverged)"


def test_infinite_bounds_are_left_out_and_quality_comes_first(found: dict[str, Any]) -> None:
    first = found["comparisons"][0]
    assert len(first["final"]["lipschitz_upper"]) == len(METHODS) - 1
    assert next(iter(found["metrics"])) == "w1"
    assert "sigma_operator/linear0" not in found["metrics"]
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("most", [0, 100, 500, 1000])
def test_the_limit_of_numbers_is_kept_and_what_is_left_out_is_said(data: SweepData, most: int) -> None:
    found = figure_data(data, most)
    assert count(found) <= most
    assert found["left_out"]


def test_without_a_limit_nothing_is_left_out(found: dict[str, Any]) -> None:
    assert found["left_out"] == []
    assert count(found) > 1000
    steps = found["comparisons"][0]["curves"]["w1"][0][1]
    assert steps == [0, 400, 800, 1200, 1600, 2000]


def test_thinned_curves_keep_their_ends(data: SweepData, found: dict[str, Any]) -> None:
    curves = sum(len(row[1]) * 4 for one in found["comparisons"] for rows in one["curves"].values() for row in rows)
    thinned = figure_data(data, count(found) - curves // 6)
    assert thinned["left_out"] == ["Curves show 5 of up to 6 evaluated steps."]
    assert thinned["comparisons"][0]["curves"]["w1"][0][1][::4] == [0, 2000]


def test_labels_cannot_end_the_script() -> None:
    value = {"name": "</script><!-- &"}
    text = as_script(value)
    assert not set("<>&") & set(text)
    assert json.loads(text) == value


def test_a_sweep_without_results_shows_its_timings_alone(tmp_path: Path) -> None:
    ends = {("digits", "none", 0): "running"}
    folder = write_sweep(tmp_path, Plan(("digits",), ("none",), seeds=(0,), ends=ends, pictures=False))
    found = figure_data(SweepData(Summary(load(folder))))
    assert list(found["metrics"]) == ["ms_discriminator_step", "ms_generator_step"]
    assert found["comparisons"][0]["curves"] == {}
