"""Settings chosen by results: on other seeds, once these are finished, and the same at every look."""

import json
from pathlib import Path

import pytest
from sweeps import SMALL, write
from typer.testing import CliRunner

from lipschitz.cli import app
from lipschitz.errors import InputError
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
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
            where.finish({"status": status, "last": {"w1": value}, "best": {"step": 120, "values": {"w1": -value}}}, {})
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
    facts = {fact["group"]["constraint"]: fact for fact in sweep.definition()["chosen"]}
    runs = facts["none"].pop("runs")
    assert {run.id for run in sweep.runs if run.seed > 1 and run.constraints[0].name() == "none"} == set(runs)
    assert facts["none"] == {
        "group": {
            "dataset": "eight_gaussians",
            "model": "mlp(width=8, depth=1)",
            "constraint": "none",
            "loss": "hinge",
        },
        "setting": "B",
        "metric": "w1",
        "at": "last",
        "value": 5.0,
        "seeds": [10, 11],
    }
    assert load_sweep(path, out=out) == sweep


def test_at_best_and_over_methods(tmp_path: Path) -> None:
    text = TUNED.replace("{metric: w1}", "{metric: w1, at: best, per: [dataset]}")
    path, out = write(tmp_path, text), tmp_path / "out"
    finish(load_sweep(path, out=out), WORTH)
    sweep = load_sweep(path, out=out)
    assert {choice["at"] for choice in sweep.definition()["chosen"]} == {"best"}
    # Both methods average to -5 whatever the setting: the first is taken, and it is one for both.
    assert settings(sweep) == {"spectral_normalization": {"A"}, "none": {"A"}}


def test_a_setting_that_diverged_is_never_chosen_before_one_that_did_not(tmp_path: Path) -> None:
    path, out = write(tmp_path, TUNED), tmp_path / "out"
    sweep = load_sweep(path, out=out)
    finish(sweep, WORTH)
    run = next(run for run in sweep.runs if (run.setting.label(), run.constraints[0].name()) == ("B", "none"))
    SweepFolder(out).run(run.id).finish({"status": "diverged"}, {})
    assert settings(load_sweep(path, out=out))["none"] == {"A"}


@pytest.mark.parametrize(("at", "expected"), [("last", "B"), ("best", "C")])
@pytest.mark.parametrize(("metric", "worse"), [("w1", 1.0), ("modes", -1.0)], ids=["lower", "higher"])
@pytest.mark.parametrize("seeds", [(10,), (10, 11)], ids=["one seed", "every seed"])
def test_a_diverged_setting_is_not_chosen_by_the_values_it_had(
    tmp_path: Path, metric: str, worse: float, at: str, expected: str, seeds: tuple[int, ...]
) -> None:
    path = write(tmp_path, TUNED.replace("{metric: w1}", f"{{metric: {metric}, at: {at}}}"))
    sweep, folder = load_sweep(path, out=tmp_path / "out"), SweepFolder(tmp_path / "out")
    # A has the best values; B is the second at the last step, and C at the best one.
    last, best = {"A": 1.0, "B": 3.0, "C": 4.0}, {"A": 0.5, "B": 2.5, "C": 2.0}
    for run in sweep.runs:
        setting = run.setting.label()
        where = folder.run(run.id)
        with where.writing():
            where.define(run.definition(120))
            where.finish(
                {
                    "status": "diverged" if setting == "A" and run.seed in seeds else "finished",
                    "last": {metric: worse * last[setting]},
                    "best": {"step": 120, "values": {metric: worse * best[setting]}},
                },
                {},
            )
    folder.define(sweep.definition())
    chosen = load_sweep(path, out=tmp_path / "out")
    assert settings(chosen) == {"spectral_normalization": {expected}, "none": {expected}}
    value = worse * (last if at == "last" else best)[expected]
    assert {choice.value for choice in chosen.choices} == {value}


def test_a_method_that_diverges_with_every_setting_is_run_all_the_same(tmp_path: Path) -> None:
    path, out = write(tmp_path, TUNED), tmp_path / "out"
    finish(load_sweep(path, out=out), WORTH, status="diverged")
    sweep = load_sweep(path, out=out)
    assert len(sweep.runs) == 16
    assert "setting A (diverged, as with every setting)" in sweep.choices[0].described()


def test_what_was_never_finite_counts_as_worst(tmp_path: Path) -> None:
    path, out = write(tmp_path, TUNED.replace("{metric: w1}", "{metric: w1, at: best}")), tmp_path / "out"
    sweep = load_sweep(path, out=out)
    finish(sweep, WORTH)
    for run in sweep.runs:
        if run.setting.label() == "A":
            SweepFolder(out).run(run.id).finish({"status": "finished", "last": {}, "best": None}, {})
    assert "A" not in set().union(*settings(load_sweep(path, out=out)).values())


def test_only_runs_of_the_same_budget_are_compared(tmp_path: Path) -> None:
    text = TUNED.replace("- seeds: [10, 11]", "- {seeds: [10, 11], training: {steps: 60}}")
    path, out = write(tmp_path, text), tmp_path / "out"
    with pytest.raises(InputError, match=r"no run of .* with the same budget and evaluation"):
        load_sweep(path, out=out)


def test_settings_are_judged_on_the_same_seeds(tmp_path: Path) -> None:
    text = TUNED.replace(
        "- seeds: [10, 11]", "- {seeds: [10, 11], settings: [A, B]}\n      - {seeds: [10], settings: [C]}"
    )
    with pytest.raises(InputError, match="setting C was not run on the seeds of setting A"):
        load_sweep(write(tmp_path, text), out=tmp_path / "out")


def test_a_report_leaves_out_what_settings_were_chosen_by(tmp_path: Path) -> None:
    path, out = write(tmp_path, TUNED), tmp_path / "out"
    finish(load_sweep(path, out=out), WORTH)
    warnings = load(out).warnings
    assert any(line.startswith("4 runs wait until their settings are chosen") for line in warnings)
    finish(load_sweep(path, out=out), {**WORTH, "C": [8.0, 8.0]})
    sweep = load(out)
    assert set(sweep.runs["seed"]) == {0, 1}
    rows = Summary(sweep).frame.set_index(["constraint", "metric", "which"])
    assert rows.loc[("spectral_normalization", "w1", "last"), ["n", "mean"]].tolist() == [2, 8.0]
    assert "12 runs were used to choose settings; only the table of settings includes them" in sweep.warnings
    chosen = "none, hinge: setting B, whose mean was 5, was chosen by w1 on seeds 10, 11"
    assert any(line.endswith(chosen) for line in sweep.warnings)


def test_a_report_before_the_first_run_that_was_chosen(tmp_path: Path) -> None:
    path, out = write(tmp_path, TUNED), tmp_path / "out"
    finish(load_sweep(path, out=out), WORTH)
    sweep = load_sweep(path, out=out)
    SweepFolder(out).define(sweep.definition())
    said = "nothing to report: no run with the chosen settings was started, only 12 runs that settings were chosen by"
    with pytest.raises(InputError, match=f"^{out}: {said}$"):
        load(out)
    chosen = next(run for run in sweep.runs if run.seed == 0)
    broken = out / "runs" / chosen.id
    broken.mkdir()
    with pytest.raises(InputError, match=f"^{out}: {said}, or none can be read; the first: {broken}: cannot be read"):
        load(out)


def test_results_of_another_sweep(tmp_path: Path) -> None:
    tuning = SMALL.replace("seeds: [0, 1]", "seeds: [10, 11]") + "    settings: [A, B, C]\n"
    finish(load_sweep(write(tmp_path, tuning, "tuning.yaml"), out=tmp_path / "tuning"), WORTH)
    text = SMALL + f"    settings: [A, B, C]\n    select: {{from: {tmp_path / 'tuning'}, metric: w1}}\n"
    sweep = load_sweep(write(tmp_path, text), out=tmp_path / "out")
    assert settings(sweep) == {"spectral_normalization": {"C"}, "none": {"B"}}
    assert len(sweep.runs) == 4


def test_results_that_do_not_know_later_fields(tmp_path: Path) -> None:
    tuning = SMALL.replace("seeds: [0, 1]", "seeds: [10, 11]") + "    settings: [A, B, C]\n"
    older = load_sweep(write(tmp_path, tuning, "tuning.yaml"), out=tmp_path / "tuning")
    finish(older, WORTH)
    for run in older.runs:
        where = SweepFolder(older.folder).run(run.id)
        definition = where.definition()
        definition["run"] |= {"training": run.training.changed(), "evaluation": run.evaluation.changed()}
        assert "precision" not in definition["run"]["training"]
        where.define(definition)
    text = SMALL + f"    settings: [A, B, C]\n    select: {{from: {tmp_path / 'tuning'}, metric: w1}}\n"
    sweep = load_sweep(write(tmp_path, text), out=tmp_path / "out")
    assert settings(sweep) == {"spectral_normalization": {"C"}, "none": {"B"}}
    other = text.replace("batch_size: 8", "batch_size: 8, generator_batch_size: 16")
    with pytest.raises(InputError, match="with the same budget and evaluation"):
        load_sweep(write(tmp_path, other), out=tmp_path / "out")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "seeds: [10, 11]",
            "seeds: [0]",
            "select: no run of .* with setting A to choose by, on other seeds",
        ),
        ("{metric: w1}", "{metric: w1, att: best}", "select.att: unknown key 'att'; did you mean 'at'"),
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
    assert "chosen for eight_gaussians, mlp(width=8, depth=1), none, hinge: setting" in answer.output
    definition = json.loads((out / "sweep.json").read_text())
    assert len(definition["runs"]) == 6
    assert all(SweepFolder(out).run(run).status() == "finished" for run in definition["runs"])
    assert [choice["seeds"] for choice in definition["chosen"]] == [[10, 11]]
