"""The benchmark scripts run and write their results. Times are not checked."""

import gc
import importlib
import json
import os
import re
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import fake_inception
import mnist_files
import pytest
import torch
from synthetic_speed_results import BROKEN, CAPTURED, UNCAPTURED, cuda, peers, plain_classifier

ROOT = Path(__file__).parents[1]
SWEEP = """
name: tiny
task: generation
datasets: [eight_gaussians]
models: [{mlp: {width: 4, depth: 1}}]
constraints: [none, weight_clipping]
training: {steps: 9}
evaluation: {every: 3, samples: 8, gradient_samples: 4}
"""


Run = Callable[..., None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a script in this process, which has imported torch already."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def call(script: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        importlib.import_module(script.removesuffix(".py")).main()

    return call


def test_step_cost(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ["--width", 1, "--size", 8, "--batch-size", 2, "--pairs", 3]
    run("step_cost.py", *small, "--constraints", "gradient_penalty", "torch_spectral_norm", "--out", tmp_path)
    result = json.loads((tmp_path / "cost.json").read_text())
    assert result["workload"] == {"width": 1, "size": 8, "batch_size": 2}
    assert set(result["constraints"]) == {"gradient_penalty", "torch_spectral_norm"}
    ratio = result["constraints"]["gradient_penalty"]["ratio"]
    assert ratio["n"] == 3
    assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
    # A penalty on a gradient: the network once more forward, and back twice.
    assert 1.5 < result["constraints"]["gradient_penalty"]["gflop"] / result["none"]["gflop"] < 2.5
    assert result["constraints"]["gradient_penalty"]["aten_calls"] > result["none"]["aten_calls"] > 50
    assert "torch" in result["provenance"]["versions"]
    assert "| gradient_penalty |" in (tmp_path / "table.md").read_text()
    monkeypatch.setattr(importlib.import_module("step_cost"), "LONGEST", 0)
    run("step_cost.py", *small, "--constraints", "weight_clipping", "--out", tmp_path / "long")
    assert (
        "| weight_clipping | not measured: one step takes 0 s of CPU time | - |"
        in (tmp_path / "long" / "table.md").read_text()
    )


@pytest.mark.usefixtures("brief_bracket")
def test_overhead(tmp_path: Path, run: Run) -> None:
    sweep = tmp_path / "tiny.yaml"
    sweep.write_text(SWEEP)
    run("overhead.py", "--sweep", sweep, "--pairs", 2, "--out", tmp_path / "out")
    result = json.loads((tmp_path / "out" / "overhead.json").read_text())
    (measured,) = result["runs"].values()
    assert measured["steps"] == 9
    assert measured["ratio"]["n"] == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["overhead.json", "table.md"]


def test_bracket_points(tmp_path: Path, run: Run) -> None:
    sweep = tmp_path / "tiny.yaml"
    sweep.write_text(SWEEP)
    run("bracket_points.py", "--file", sweep, "--out", tmp_path / "out")
    networks = json.loads((tmp_path / "out" / "points.json").read_text())["networks"]
    assert [network["method"] for network in networks] == ["none", "weight_clipping"]
    for network in networks:
        assert 0 < network["lower"] <= network["exact"] * (1 + 1e-9)
        assert network["exact"] <= network["upper"] * (1 + 1e-9)
        assert network["upper"] <= network["product"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["points.json", "points.md"]


def test_bracket_mnist(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    content = mnist_files.contents()
    mnist_files.write(tmp_path, "MNIST", content, packed=False)
    mnist_files.expect(monkeypatch, "MNIST", content)
    run("bracket_mnist.py", "--data-root", tmp_path, "--seeds", 0, "--epochs", 1, "--out", tmp_path / "out")
    (network,) = json.loads((tmp_path / "out" / "mnist.json").read_text())["networks"]
    assert 0 < network["lower"] < network["upper"] < network["product"]
    assert "LipSDP 4.82" in (tmp_path / "out" / "mnist.md").read_text()


def test_classifier_step(tmp_path: Path, run: Run) -> None:
    small = ["--size", 4, "--images", 20, "--batch-size", 4, "--pairs", 3]
    run("classifier_step.py", *small, "--out", tmp_path)
    rows = json.loads((tmp_path / "classifier.json").read_text())["rows"]
    assert [(row["network"], row["optimiser"].partition("(")[0]) for row in rows] == [
        (network, optimiser) for network in ("mlp_classifier", "gouk_cnn(width=16)") for optimiser in ("sgd", "adam")
    ]
    for row in rows:
        assert row["ratio"]["n"] == 3
        assert row["fastest"] > 0
        assert row["differs_by"]["start"] == 0
        assert row["differs_by"]["update"] < 1e-5, "the same weights, up to rounding"
        assert 20 < row["operations"]["ours"]["aten_calls"] < row["operations"]["plain"]["aten_calls"]
    assert "a classifier's step without a constraint" in (tmp_path / "README.md").read_text()
    assert "| gouk_cnn(width=16) | adam(" in (tmp_path / "classifier.md").read_text()


def test_a_plain_loop_with_other_updates_is_not_timed(run: Run) -> None:
    script = importlib.import_module("classifier_step")
    workload = {"images": 8, "size": 4, "batch_size": 4, "device": torch.device("cpu")}
    pairing = script.pairings()[0]
    other = pairing._replace(setting=pairing.setting.model_copy(update={"lr": 0.06}))
    row = script.measure(other, workload, 3)
    assert row["refused"].startswith("its first updates are not those of the plain loop")
    assert "ratio" not in row


def test_estimators(tmp_path: Path, run: Run) -> None:
    small = ["--width", 2, "--size", 8, "--steps", 2, "--repeats", 1, "--layers", "blocks.1.conv"]
    run("estimators.py", *small, "--out", tmp_path)
    estimates = json.loads((tmp_path / "estimators.json").read_text())["estimates"]
    by_name = {(row["of"], row["estimator"], row["iterations"]): row["error"] for row in estimates}
    assert abs(by_name["reshaped", "SVD", None]) < 1e-12
    assert abs(by_name["reshaped", "eigenvalues of WWᵀ", None]) < 1e-9
    assert all(error > -1e-9 for (_, name, _), error in by_name.items() if "certified" in name)
    assert all(error < 1e-9 for (_, name, _), error in by_name.items() if name.startswith(("power", "Lanczos")))
    assert by_name["operator", "power iteration, warm", 1] > by_name["operator", "power iteration, random", 1]
    assert {path.name for path in tmp_path.iterdir()} == {
        "estimators.json",
        "table.md",
        *(f"estimators.{kind}" for kind in ("svg", "pdf", "png")),
    }


def test_measurement(tmp_path: Path, run: Run) -> None:
    run("measurement.py", "--width", 2, "--size", 8, "--batch-size", 2, "--steps", 2, "--out", tmp_path)
    seconds = json.loads((tmp_path / "measurement.json").read_text())["seconds"]
    assert 0 < seconds["σ of kernels and operators, warm"] < seconds["whole measurement of the discriminator"]
    assert "| share of training |" in (tmp_path / "table.md").read_text()


def test_results_folder(tmp_path: Path, run: Run) -> None:
    run("results_folder.py", "--runs", 10, "--commands", "status", "--out", tmp_path)
    (measured,) = json.loads((tmp_path / "results_folder.json").read_text())["measured"]
    assert (measured["command"], measured["runs"]) == ("status", 10)
    assert measured["seconds"] > 0
    assert 20 < measured["mib"] < 400


def test_large_sweep(tmp_path: Path, run: Run) -> None:
    run("large_sweep.py", "--runs", 20, "--others", 2, "--out", tmp_path)
    found = json.loads((tmp_path / "large_sweep.json").read_text())
    assert found["dry_run_seconds"] > 0
    # Ten of the 20 runs have ended. Two others hold a claim each, which may be of the ten that are left.
    assert 8 <= found["claiming"]["claimed"] <= 10
    assert 0 < found["claiming"]["mean_ms"] <= found["claiming"]["most_ms"]
    assert "| to claim a run and give it up, mean |" in (tmp_path / "large_sweep.md").read_text()


def test_speed(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("speed", "speed_cells"):
        # Worker processes train the networks of their full size.
        monkeypatch.setattr(importlib.import_module(module), "WORKLOADS", ["points, mlp"])
    small = ["--widths", 2, "--size", 8, "--batch-size", 2, "--repeats", 2, "--seconds", 0.02, "--side", 32]
    run("speed.py", *small, "--constraints", "none", "spectral_normalization", "--out", tmp_path)
    result = json.loads((tmp_path / "cpu.json").read_text())
    cells = result["cells"]
    assert set(cells) == {
        "rate/float32",
        *(f"turns/{name}" for name in ("none", "spectral_normalization")),
        *(f"times/float32/2/{name}" for name in ("none", "spectral_normalization")),
        "workers/points, mlp",
    }
    assert cells["turns/none"] == cells["turns/spectral_normalization"] == 0
    assert cells["rate/float32"] > 0
    timed = cells["times/float32/2/none"]
    assert timed["launched"]["ms_iteration"]["n"] == 2
    assert timed["gflop"]["ms_iteration"] > timed["gflop"]["ms_discriminator_step"] > 0
    workers = cells["workers/points, mlp"]
    assert workers["workers"] * workers["ratio"]["median"] > 0
    table = (tmp_path / "cpu.md").read_text()
    assert "| spectral_normalization | float32 | 2 | iteration |" in table
    assert "no graphs on a CPU" in table
    goals = (tmp_path / "README.md").read_text()
    assert "Nothing was measured on a GPU" in goals
    assert goals.count("| not measured | not measured |") == 12
    assert "**Predicted, not measured**, for one H200" in goals
    assert (tmp_path / "speed_cpu.png").read_bytes().startswith(b"\x89PNG")
    assert "| none | 0.0e+00 | no graphs on a CPU |" in table


def test_speed_without_time_lists_every_cell_as_not_measured(tmp_path: Path, run: Run) -> None:
    run("speed.py", "--minutes", 0, "--constraints", "none", "--out", tmp_path)
    assert json.loads((tmp_path / "cpu.json").read_text())["cells"] == {}
    table = (tmp_path / "cpu.md").read_text()
    assert "| none | float32 | 64 | not measured |" in table
    assert "Not measured." in table


def test_captured_iterations_may_differ_twice_as_much_as_launched_ones(run: Run) -> None:
    correct = importlib.import_module("speed").captures_correctly
    for captured, launched, expected in ((9e-6, 0.0, True), (2e-5, 0.0, False), (0.5, 0.3, True), ("no", 0.0, False)):
        assert correct({"captured/a": captured, "turns/a": launched}, "a") is expected
    assert not correct({"captured/a": 0.0, "turns/a": {"failed": "no"}}, "a")
    assert not correct({}, "a")


def test_checks_continue_after_one_that_fails(run: Run) -> None:
    unchecked, cells = importlib.import_module("speed")._unchecked, {}
    asked = []
    for left in unchecked(["a", "b", "c"], cells, True):
        asked.append(left)
        if left:
            cells |= {f"turns/{left[0]}": {"failed": "no"}, f"captured/{left[0]}": {"failed": "no"}}
    assert asked == [["a", "b", "c"], ["b", "c"], ["c"], []]
    assert list(unchecked(["a", "b", "c"], cells, True)) == [[]], "planned without being measured again"
    assert list(unchecked(["a", "b"], {}, True)) == [["a", "b"]], "not tried again after a round that checks nothing"


def test_goals_and_figures_of_a_gpu(tmp_path: Path, run: Run) -> None:
    goals, tables, plot = (importlib.import_module(name) for name in ("speed_goals", "speed_tables", "speed_plot"))
    found = {"cuda": cuda(), "peers": peers(), "classifier": plain_classifier()}
    values = [goal.measured(found) for goal in goals.goals()]
    # One constraint was not captured, so the smallest gain is unknown. The other values are worked out by hand.
    assert values[:2] == [None, None]
    assert values[2:7] == pytest.approx([1600 / 1.25 * 0.012, 1600 / 0.4 * 0.012, 1.28 * 170 / 400, 1.04, 1.06])
    assert values[7] is None, "no CPU was measured"
    assert values[8:] == pytest.approx([0.95 * 1.02, 0.95 * 1.02, 1.05 * 0.8, 1.05 * 0.9, 1.05 * 1.01])
    classifier = goals.goals()[-1]
    assert not classifier.is_reached(values[-1]), "the upper end decides"
    assert classifier.measured({"classifier": {"rows": [*plain_classifier()["rows"], {"refused": "no"}]}}) is None
    unfinished = {"peers": {**peers(), "rows": peers()["rows"][1:]}}
    assert goals.goals()[8].measured(unfinished) is None
    assert goals.goals()[9].measured(unfinished) is not None
    sound = {"cuda": cuda()}
    for key in [key for key in sound["cuda"]["cells"] if BROKEN in key]:
        del sound["cuda"]["cells"][key]
    gains = [goal.measured(sound) for goal in goals.goals()[:2]]
    assert gains == pytest.approx([UNCAPTURED / CAPTURED[64], UNCAPTURED / CAPTURED[16]])
    for goal in goals.goals():
        # Every goal of a GPU says what it is predicted to be, and how that could be wrong.
        assert bool(goal.predicted) == bool(goal.assumes) == bool(goal.refuted) == ("TF32" in goal.what)
    table = tables.device_table(cuda())
    assert f"| {BROKEN} | 0.0e+00 | not captured: RuntimeError: no |" in table
    assert "| none | tf32 | 64 | iteration | 12 | 1.25 | 9.60 | 1.000 | 1.000 | 170 | 136 | 34 % |" in table
    assert "| float32 | not measured |" in table
    plot.draw(tmp_path, found)
    assert {path.name for path in tmp_path.iterdir()} == {f"speed_cuda.{kind}" for kind in ("svg", "pdf", "png")}


@pytest.mark.usefixtures("brief_bracket")
def test_faults(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("FAULTS_STOP", "")
    rows = ["checkpoint: torn", "no plain YAML", "clock set back"]
    run("faults.py", "--tries", 1, "--jobs", 0, "--only", *rows, "--out", tmp_path / "out")
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.count("| 1 | equal 1 | 0 | 0 | 0 | 0 | 0 | yes |") == 3, table
    assert "| 1 | refused 1 | 0 | 0 | 0 | 0 | 0 | yes |" in table
    assert "4 faults, 4 tries in all: 4 faults ended as allowed" in (tmp_path / "out" / "README.md").read_text()
    assert len((tmp_path / "out" / "table.csv").read_text().splitlines()) == 5
    # A later call keeps the rows that it does not measure.
    run("faults.py", "--tries", 2, "--jobs", 0, "--only", "no plain YAML", "--out", tmp_path / "out")
    assert "4 faults, 5 tries in all: 4 faults ended as allowed" in (tmp_path / "out" / "README.md").read_text()


def test_a_fault_that_is_not_met_is_shown(tmp_path: Path, run: Run) -> None:
    """A record doubled, one lost, one changed, and a silent end: none of these is as allowed."""
    outcome, table = (importlib.import_module(f"fault_injection.{name}") for name in ("outcome", "table"))
    expected = {"a": {"records": [((step, "w1"), "1.0") for step in range(3)], "parts": {"result.step": "2"}}}
    found = {"a": {"records": [((0, "w1"), "1.0"), ((0, "w1"), "1.0"), ((1, "w1"), "2.0")], "parts": {}}}
    seen = outcome.Outcome(how="silent")
    outcome.compare(expected, expected, seen)
    assert (seen.lost, seen.doubled, seen.changed) == (0, 0, 0)
    outcome.compare(expected, found, seen)
    assert (seen.lost, seen.doubled, seen.changed) == (2, 1, 1)
    fault = importlib.import_module("fault_injection.fault").Fault("files", "x", ("silent",), lambda trial: None)
    assert not table.Row(fault, [seen], 1.0).is_as_allowed
    assert table.Row(fault, [outcome.Outcome(how="silent")], 1.0).is_as_allowed
    assert not table.Row(fault, [outcome.Outcome(how="equal")], 1.0).is_as_allowed
    assert outcome.unclear(["error: a\x1b[31m", "error: " + "x" * 200, "error: " + "a/" * 200]) == [
        "error: a\x1b[31m",
        "error: " + "x" * 200,
    ]


def test_day_one_in_small_on_a_cpu(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("day_one"), "VERSIONS", "print('torch', 'x|y')")
    monkeypatch.setenv("LIPSCHITZ_SIMULATED_DEVICE", "folder")
    small = ["--device", "cpu", "--small", "--parts", "versions", "layouts"]
    archive = tmp_path / "kept.tar.gz"
    run("day_one.py", *small, "--minutes", 3, "--out", tmp_path / "out", "--archive", archive)
    table = (tmp_path / "out" / "day_one.md").read_text()
    assert "\nTimes mean nothing: tiny networks, a simulated device.\n" in table
    assert re.search(r"\| versions \| yes \| \d+ \| torch x/y \|", table)
    assert re.search(r"\| layouts \| yes \|", table), (tmp_path / "out" / "layouts.log").read_text()
    assert "| none | float32 | channels_last |" in (tmp_path / "out" / "layouts" / "table.md").read_text()
    with tarfile.open(archive) as kept:
        assert {"./day_one.md", "./layouts.log", "./layouts/layouts.json"} <= set(kept.getnames())


def test_a_part_of_day_one_is_cut_off_and_the_others_follow(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    day_one = importlib.import_module("day_one")

    def ended(code: str, seconds: float) -> tuple[str, str]:
        part = day_one.Part("part", 1, [sys.executable, "-Sc", code])
        outcome = day_one.run(part, seconds, tmp_path / "part.log", os.environ)
        return outcome.ended, outcome.last

    assert ended("raise SystemExit('no')", 60) == ("failed, exit code 1", "no")
    assert ended("", day_one.LEAST / 2) == ("no time left", "")
    monkeypatch.setattr(day_one, "LEAST", 0)
    assert ended("print('begun', flush=True); import signal; signal.pause()", 2) == ("cut off at its limit", "begun")


def test_evaluation(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = importlib.import_module("evaluation")
    monkeypatch.setattr(evaluation, "untrained_network", lambda: fake_inception.network().backbone)
    monkeypatch.setattr(evaluation, "measure_discriminator", lambda *_: SimpleNamespace(starts={}))
    run("evaluation.py", "--width", 2, "--images", 60, "--out", tmp_path)
    seconds = json.loads((tmp_path / "evaluation.json").read_text())["seconds"]
    assert len(seconds) == 6
    assert all(value >= 0 for value in seconds.values())
    assert "metrics of sngan(n_real=12, n_fake=6, score_samples=60)" in seconds
    assert [one.label() for one in evaluation.protocols(50_000)] == ["sngan", "modern"]


def test_checks_of_a_sweep_count_what_is_changed(run: Run) -> None:
    largest = importlib.import_module("sweep_checks").largest_change
    runs = [{"a": {"records": [((0, "w1"), first), ((1, "w1"), "2.0")]}} for first in ("1.0", "1.0", "1.25", "nan")]
    assert [largest(runs[0], found) for found in (*runs[1:3], {})] == [0, 0.2, 1]


def test_the_check_of_memory_knows_whether_memory_was_lacking(tmp_path: Path, run: Run) -> None:
    fewest_at_once = importlib.import_module("sweep_checks").fewest_at_once
    for name, packs in {"a": [8], "b": [8, 4]}.items():
        path = tmp_path / "runs" / name / "run.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"provenance": [{"runs_at_once": pack} for pack in packs]}))
    assert fewest_at_once(tmp_path) == 4


@pytest.mark.gpu
def test_no_two_networks_that_hold_memory_fit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    held_memory = importlib.import_module("held_memory")
    method, nets = held_memory.HeldMemory(), [torch.nn.Linear(1, 1, device="cuda") for _ in range(3)]
    assert method.wrap(nets[0], (1,)) is nets[0]
    monkeypatch.setenv(held_memory.SWITCH, "1")
    method.wrap(nets[1], (1,))
    with pytest.raises(torch.OutOfMemoryError):
        method.wrap(nets[2], (1,))
    del nets[1]
    gc.collect()
    method.wrap(nets[1], (1,))


@pytest.mark.parametrize(
    ("sweep", "code", "reported"),
    [
        ("exit 1", 0, True),
        ("exit 2", 2, False),
        ("trap 'kill $!; exit 130' INT; sleep 60 & wait", 0, True),
        ("trap '' INT; exec tail -f /dev/null --pid=$PPID", 0, True),
    ],
    ids=["some runs failed", "refused", "stopped", "it does not stop"],
)
def test_gpu_first_reports_what_there_is_in_time(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, sweep: str, code: int, reported: bool
) -> None:
    gpu_first = importlib.import_module("gpu_first")
    stub, calls = tmp_path / "python", tmp_path / "calls"
    stub.write_text(f'#!/usr/bin/env bash\necho "$3" >> {calls}\nif [ "$3" = sweep ]; then\n{sweep}\nfi\n')
    stub.chmod(0o755)
    monkeypatch.setattr(gpu_first, "sys", SimpleNamespace(executable=str(stub)))
    given = {"sweep": Path("s.yaml"), "out": tmp_path, "device": "cpu", "workers": 1, "minutes": 2 / 60}
    assert gpu_first.sweep_and_report(SimpleNamespace(**given), [], time.monotonic()) == code
    assert calls.read_text().split() == ["sweep", *(["status", "report"] if reported else [])]


def test_the_provenance_of_a_measurement_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    lines = importlib.import_module("result_files").provenance_lines
    facts = {"versions": {}, "commit": "ab", "dirty": False, "device": "cpu", "date": "today"}
    assert "Command: `python benchmarks/overhead.py --pairs 3`." in "".join(
        lines(facts | {"command": "overhead.py --pairs 3"})
    )
    assert "Command: `lipschitz sweep mine.yaml`." in "".join(lines(facts | {"command": "lipschitz sweep mine.yaml"}))
