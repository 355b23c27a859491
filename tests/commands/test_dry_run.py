"""`lipschitz sweep --dry-run`: the plan, its cost, its warnings; nothing is written."""

from pathlib import Path

from command_line import lipschitz
from sweeps import SMALL, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.store import SweepFolder


def test_a_dry_run_lists_the_runs_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path)
    done = lipschitz("sweep", path, "--dry-run", "--limit-steps", 20, cwd=tmp_path)
    assert done.returncode == 0
    assert len([line for line in done.stdout.splitlines() if line.startswith("waiting")]) == 4
    assert "4 runs of 2 configurations, 80 steps -> results/small-limit-20" in done.stdout
    assert "min of training" in done.stdout
    assert list(tmp_path.iterdir()) == [path]


def test_a_dry_run_needs_no_data(tmp_path: Path) -> None:
    path = write(
        tmp_path, SMALL.replace("eight_gaussians", "cifar10").replace("mlp: {width: 8, depth: 1}", "dcgan: {width: 2}")
    )
    done = lipschitz("sweep", path, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning: data set cifar10 not found in data" in done.stdout
    assert "4 unfinished runs on" in done.stdout
    assert "time not measured" in done.stdout
    assert "predicted, not measured: 4 runs on one H200, one after the other: about 0.0 min of training" in done.stdout
    assert "and 3.3 min of evaluation" in done.stdout


def test_a_dry_run_warns_of_results_of_another_definition(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    plan = load_sweep(path, out=tmp_path / "out")
    plan.folder.mkdir()
    SweepFolder(plan.folder).define(plan.definition())
    assert "warning" not in lipschitz("sweep", path, "--out", plan.folder, "--dry-run", cwd=tmp_path).stdout
    write(tmp_path, SMALL.replace("batch_size: 8", "batch_size: 4"))
    done = lipschitz("sweep", path, "--out", plan.folder, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"warning: {plan.folder}: made by another definition, of which 4 runs" in done.stdout.replace("\n", " ")


def test_a_dry_run_warns_of_weights_and_of_a_precision_that_are_not_there(tmp_path: Path) -> None:
    text = SMALL.replace("eight_gaussians", "digits").replace("mlp: {width: 8, depth: 1}", "dcgan: {width: 2}")
    text = text.replace("batch_size: 8", "batch_size: 8, precision: tf32")
    text = text.replace("samples: 32", "samples: 32, protocols: [{sngan: {n_real: 20, n_fake: 6, score_samples: 10}}]")
    done = lipschitz("sweep", write(tmp_path, text), "--dry-run", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning: precision tf32 is not supported on cpu" in done.stdout
    assert "warning: no weights of the FID's Inception network" in done.stdout
    assert "time not measured" in done.stdout


def test_one_of_a_thing_is_singular(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace("[none, spectral_normalization]", "[none]").replace("[0, 1]", "[0]"))
    path.write_text(path.read_text().replace("batch_size: 8", "batch_size: 8, ema: 0.999"))
    done = lipschitz("sweep", path, "--dry-run", "--workers", 1, cwd=tmp_path)
    assert "1 run of 1 configuration, 120 steps" in done.stdout
    assert "1 unfinished run on 1 worker: " in done.stdout
    assert done.stdout.count("warning: training.ema 0.999 over 120 steps: the average still holds 89%") == 1
