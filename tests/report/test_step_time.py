"""What a step takes: by the serial pass alone, and over none on the same device."""

import json
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from synthetic import Plan, dump, write_sweep

from lipschitz.report.plots.evidence import gather
from lipschitz.report.plots.panels import look
from lipschitz.report.plots.step_time import step_time
from lipschitz.report.records import load

PLAN = Plan(("digits",), ("none", "gradient_penalty"), seeds=(0,), evaluations=1, pictures=False)


def drawn(folder: Path, place: int = 0) -> tuple[Axes, str]:
    with look():
        figure = step_time(gather(load(folder))[place])
    assert figure is not None
    (axes,) = figure.axes
    return axes, " ".join(text.get_text() for text in figure.texts)


def timing(folder: Path, constraint: str) -> Path:
    return folder / "timing" / f"digits-hinge-C-{constraint}.json"


def test_bars_are_medians_of_a_step_and_the_text_is_over_none(tmp_path: Path) -> None:
    axes, said = drawn(write_sweep(tmp_path, PLAN))
    bars = [patch.get_width() for patch in axes.patches if isinstance(patch, Rectangle)]
    assert bars == pytest.approx([7.5, 2.5, 7.5 * 1.9, 2.5])
    assert [text.get_text() for text in axes.texts] == ["× 1.00", "× 1.90"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["none", "gradient_penalty"]
    assert "cpu: synthetic, 1 thread" in said


def test_times_on_another_device_are_not_compared_and_both_are_named(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    path = timing(folder, "gradient_penalty")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "cuda: other"}))
    axes, said = drawn(folder)
    assert [text.get_text() for text in axes.texts] == ["× 1.00"]
    assert "cpu: synthetic, 1 thread; cuda: other" in said


def test_what_was_not_timed_is_named(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    timing(folder, "none").unlink()
    axes, said = drawn(folder)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["gradient_penalty"]
    assert len(axes.texts) == 0
    assert "Not measured: none." in said
    timing(folder, "gradient_penalty").unlink()
    with look():
        assert step_time(gather(load(folder))[0]) is None


def test_methods_share_the_figure_whatever_setting_was_chosen_for_them(tmp_path: Path) -> None:
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
