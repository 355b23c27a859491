"""The bar chart of step times: medians of the serial pass, and ratios to none on the same device."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from synthetic import Plan, dump, write_sweep

from lipschitz.report.plots.data import comparison_data
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.step_time import step_time
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary

PLAN = Plan(("digits",), ("none", "gradient_penalty"), seeds=(0,), evaluations=1, pictures=False)


def drawn(folder: Path, place: int = 0) -> tuple[Axes, str]:
    with report_style():
        figure = step_time(comparison_data(Summary(load(folder)))[place])
    assert figure is not None
    (axes,) = figure.axes
    return axes, " ".join(text.get_text() for text in figure.texts)


def timing(folder: Path, constraint: str) -> Path:
    return folder / "timing" / f"digits-hinge-C-{constraint}.json"


def test_bars_are_medians_and_labels_are_ratios_to_none(tmp_path: Path) -> None:
    axes, said = drawn(write_sweep(tmp_path, PLAN))
    bars = [patch.get_width() for patch in axes.patches if isinstance(patch, Rectangle)]
    assert bars == pytest.approx([7.5, 2.5, 7.5 * 1.9, 2.5])
    assert [text.get_text() for text in axes.texts] == ["× 1.00", "× 1.90"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["none", "gradient_penalty"]
    assert "cpu: synthetic, 1 thread" in said


def test_times_on_another_device_are_not_compared(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    path = timing(folder, "gradient_penalty")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "cuda: other"}))
    axes, said = drawn(folder)
    assert [text.get_text() for text in axes.texts] == ["× 1.00"]
    assert "cpu: synthetic, 1 thread; cuda: other" in said


def test_a_method_that_was_not_timed_is_named(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    timing(folder, "none").unlink()
    axes, said = drawn(folder)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["gradient_penalty"]
    assert len(axes.texts) == 0
    assert "Not measured: none." in said
    timing(folder, "gradient_penalty").unlink()
    with report_style():
        assert step_time(comparison_data(Summary(load(folder)))[0]) is None


def test_methods_with_different_selected_settings_share_the_figure(tmp_path: Path) -> None:
    runs = []
    for constraint, setting in (("none", "A"), ("gradient_penalty", "C")):
        one = Plan(("digits",), (constraint,), settings=(setting,), seeds=(0,), evaluations=1, pictures=False)
        runs += json.loads((write_sweep(tmp_path, one) / "sweep.json").read_text())["runs"]
    choice = {"metric": "w1", "value": 1.0, "seeds": [100], "runs": []}
    chosen = [
        choice | {"group": {"constraint": constraint}, "setting": setting}
        for constraint, setting in (("none", "A"), ("gradient_penalty", "C"))
    ]
    dump(tmp_path / "sweep.json", {"name": "tuned", "task": "generation", "runs": runs, "chosen": chosen})
    axes, _ = drawn(tmp_path)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["none", "gradient_penalty"]
    assert [text.get_text() for text in axes.texts] == ["× 1.00", "× 1.90"]


def bars_of(folder: Path) -> tuple[list[float], list[float], str]:
    """Return the widths of filled and of open bars, and the text of the figure."""
    axes, said = drawn(folder)
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    filled, hollow = (
        [bar.get_width() for bar in bars if (bar.get_facecolor()[3] > 0) is full] for full in (True, False)
    )
    return filled, hollow, f"{said} {axes.get_xlabel()}"


def test_launched_steps_are_open_bars_and_captured_steps_filled_bars(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, replace(PLAN, cuda=True))
    filled, hollow, said = bars_of(folder)
    assert filled == pytest.approx([0.8, 0.5, 0.8 * 1.9, 0.5])
    assert hollow == pytest.approx([4.0, 3.0, 4.0 * 1.8, 3.0])
    assert "Filled: captured as CUDA graphs, as it is trained; open: launched kernel by kernel." in said
    assert "discriminator step over that of none, both captured" in said
    axes, _ = drawn(folder)
    assert [text.get_text() for text in axes.texts] == ["× 1.00", "× 1.90"]
    assert axes.get_xlim()[1] > 7.2 * 1.04


def test_an_uncaptured_method_has_no_filled_bar_and_no_ratio_to_captured_ones(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, replace(PLAN, cuda=True, uncaptured={"gradient_penalty": "it waits"}))
    filled, hollow, _ = bars_of(folder)
    assert filled == pytest.approx([0.8, 0.5])
    assert hollow == pytest.approx([4.0, 3.0, 4.0 * 1.8, 3.0])
    axes, _ = drawn(folder)
    assert [text.get_text() for text in axes.texts] == ["× 1.00"]


def test_without_captured_steps_all_bars_are_open_and_compared(tmp_path: Path) -> None:
    reasons = dict.fromkeys(("none", "gradient_penalty"), "it waits")
    folder = write_sweep(tmp_path, replace(PLAN, cuda=True, uncaptured=reasons))
    filled, hollow, said = bars_of(folder)
    assert filled == []
    assert hollow == pytest.approx([4.0, 3.0, 4.0 * 1.8, 3.0])
    assert "nothing was captured" in said
    assert "both captured" not in said
    axes, _ = drawn(folder)
    assert [text.get_text() for text in axes.texts] == ["× 1.00", "× 1.80"]


def test_on_a_cpu_no_bar_is_open(tmp_path: Path) -> None:
    _, hollow, said = bars_of(write_sweep(tmp_path, PLAN))
    assert hollow == []
    assert "aptured" not in said
