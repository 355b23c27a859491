"""Settings chosen by results: on other seeds, once these are finished, and the same at every look."""

import json
from pathlib import Path

import pytest
from sweeps import SMALL, write
from typer.testing import CliRunner

from lipschitz.cli import app
from lipschitz.errors import InputError
from lipschitz.sweep.spec import Sweep, load_sweep
from lipschitz.sweep.store import SweepFolder

TUNED = (
    SMALL
    + """\
    settings: [A, B, C]
    parts:
      - seeds: [10, 11]
      - select: {metric: w1}
"""
)
WORTH = {"A": [3.0, 4.0], "B": [1.0, 9.0], "C": [2.0, 2.0]}


def finish(sweep: Sweep, worth: dict[str, list[float]], status: str = "finished") -> None:
    """Write results by hand: with spectral normalization C is best, without constraint B (its worth is turned over)."""
    folder = SweepFolder(sweep.folder)
    for run in sweep.runs:
        value = worth[run.setting.label()][run.seed % 2]
        if run.constraints[0].name() == "none":
            value = 10 - value
        where = folder.run(run.id)
        with where.writing():
            where.define(run.definition(120))
            where.finish({"status": status, "last": {"w1": value}, "best": {"values": {"w1": -value}}}, {})
    folder.define(sweep.definition())


def settings(sweep: Sweep, seeds: tuple[int, ...] = (0, 1)) -> dict[str, set[str]]:
    chosen: dict[str, set[str]] = {}
    for run in sweep.runs:
        if run.seed in seeds:
            chosen.setdefault(run.constraints[0].name(), set()).add(run.setting.label())
    return chosen


def test_what_is_not_finished_is_waited_for(tmp_path: Path) -> None:
    path, out = write(tmp_path, TUNED), tmp_path / "out"
    sweep = load_sweep(path, out=out)
    assert {run.seed for run in sweep.runs} == {10, 11}
    assert len(sweep.runs) == 2 * 3 * 2
    assert sweep.waiting == 4
    assert sweep.choices == ()


def test_each_method_gets_the_setting_that_other_seeds_did_best_with(tmp_path: Path) -> None:
    path, out = write(tmp_path, TUNED), tmp_path / "out"
    finish(load_sweep(path, out=out), WORTH)
    sweep = load_sweep(path, out=out)
    # Means over the two tuning seeds: A 3.5, B 5, C 2; without constraint 6.5, 5, 8.
    assert settings(sweep) == {"spectral_normalization": {"C"}, "none": {"B"}}
    assert (len(sweep.runs), sweep.waiting) == (16, 0)
    facts = {fact["group"][2]: fact for fact in sweep.definition()["chosen"]}
    assert facts["none"] == {
        "group": ["eight_gaussians", "mlp(width=8, depth=1)", "none", "hinge"],
        "setting": "B",
        "value": 5.0,
        "seeds": [10, 11],
    }
    assert load_sweep(path, out=out) == sweep


def test_at_best_and_over_methods(tmp_path: Path) -> None:
    text = TUNED.replace("{metric: w1}", "{metric: w1, at: best, per: [dataset]}")
    path, out = write(tmp_path, text), tmp_path / "out"
    finish(load_sweep(path, out=out), WORTH)
    # Both methods average to -5 whatever the setting: the first is taken, and it is one for both.
    assert settings(load_sweep(path, out=out)) == {"spectral_normalization": {"A"}, "none": {"A"}}


def test_a_setting_that_diverged_is_never_chosen_before_one_that_did_not(tmp_path: Path) -> None:
    path, out = write(tmp_path, TUNED), tmp_path / "out"
    sweep = load_sweep(path, out=out)
    finish(sweep, WORTH)
    run = next(run for run in sweep.runs if (run.setting.label(), run.constraints[0].name()) == ("B", "none"))
    SweepFolder(out).run(run.id).finish({"status": "diverged"}, {})
    assert settings(load_sweep(path, out=out))["none"] == {"A"}


def test_results_of_another_sweep(tmp_path: Path) -> None:
    tuning = SMALL.replace("seeds: [0, 1]", "seeds: [10, 11]") + "    settings: [A, B, C]\n"
    finish(load_sweep(write(tmp_path, tuning, "tuning.yaml"), out=tmp_path / "tuning"), WORTH)
    text = SMALL + f"    settings: [A, B, C]\n    select: {{from: {tmp_path / 'tuning'}, metric: w1}}\n"
    sweep = load_sweep(write(tmp_path, text), out=tmp_path / "out")
    assert settings(sweep) == {"spectral_normalization": {"C"}, "none": {"B"}}
    assert len(sweep.runs) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "seeds: [10, 11]",
            "seeds: [0]",
            "select: no run of .* with setting A to choose by, on other seeds than these",
        ),
        ("{metric: w1}", "{metric: w2}", "select.metric: unknown metric 'w2'; did you mean"),
        ("{metric: w1}", "{metric: w1, from: nowhere}", "select: nowhere: no results of a sweep here"),
        ("{metric: w1}", "{metric: w1, per: [seed]}", "select.per"),
        ("{metric: w1}", "{}", "select.metric: missing key 'metric'"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, TUNED.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        load_sweep(path, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")


def test_a_sweep_goes_on_with_what_it_has_chosen(tmp_path: Path) -> None:
    text = TUNED.replace("[none, spectral_normalization]", "[none]").replace("steps: 120", "steps: 4")
    path, out = write(tmp_path, text.replace("[A, B, C]", "[B, C]")), tmp_path / "out"
    answer = CliRunner().invoke(app, ["sweep", str(path), "--out", str(out), "--workers", "2", "--no-report"])
    assert answer.exit_code == 0, answer.output
    assert "and 2 runs whose settings are chosen once these are finished" in answer.output
    assert "chosen for eight_gaussians, mlp(width=8, depth=1), none, hinge:" in answer.output
    definition = json.loads((out / "sweep.json").read_text())
    assert len(definition["runs"]) == 6
    assert all(SweepFolder(out).run(run).status() == "finished" for run in definition["runs"])
    assert [choice["seeds"] for choice in definition["chosen"]] == [[10, 11]]
