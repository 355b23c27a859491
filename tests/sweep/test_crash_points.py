"""Crashes at every crash point of a run and of a sweep: what is resumed equals what was never disturbed, bit for bit."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import lipschitz
from counter_task import Counter
from crash_points import crash_points, crashed
from sweeps import ProgressLog, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.run_folder import RunFolder

# Checkpoints within and between evaluations: steps 0, 50, 80, 100, 120.
TINY = """\
    name: tiny
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 2, depth: 1}}]
    constraints: [none]
    seeds: [0]
    training: {steps: 120, batch_size: 2}
    evaluation: {every: 80, samples: 8, gradient_samples: 2}
"""
ENGINE = Path(__file__).parents[1] / "support" / "in_process_engine.py"
RECORDS = "runs/{}/records.jsonl"
SEQUENCES = 40

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run counts."""
    monkeypatch.setattr(Job, "build", lambda job, data=None: Counter())
    monkeypatch.setattr(Counter, "parts", lambda task: {"ms_discriminator_step": lambda: None})


@pytest.fixture
def job(tmp_path: Path) -> Job:
    site = Site(("cpu",), checkpoint_seconds=0.0)
    return Job(load_sweep(write(tmp_path, TINY)).runs[0], tmp_path / "tiny", site, "cpu", {"device": "cpu"}, "cpu: a")


def run(job: Job) -> Callable[[], object]:
    return lambda: train(job, ProgressLog())


def content(folder: Path) -> dict[str, Any]:
    """Return what a run's folder holds, without what a clock says and how often it was started."""
    assert RunFolder(folder).damage() == []
    result = json.loads((folder / "result.json").read_text())
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    definition = json.loads((folder / "run.json").read_text())
    with np.load(folder / "samples.npz") as samples:
        arrays = {name: (array.dtype, array.shape, array.tobytes()) for name, array in samples.items()}
    return {
        "result": {key: value for key, value in result.items() if key not in CHANGING},
        "records": [{key: value for key, value in record.items() if key not in CHANGING} for record in records],
        "definition": {key: value for key, value in definition.items() if key not in CHANGING},
        "samples": arrays,
        # Nothing half-written is left.
        "files": {path.name for path in folder.iterdir()},
    }


CHANGING = ("seconds", "provenance", "files", "checksum")


def fresh(job: Job) -> None:
    shutil.rmtree(job.sweep, ignore_errors=True)
    job.sweep.mkdir()


def undisturbed(job: Job) -> tuple[list[str], dict[str, Any]]:
    """Return the crash points of a run, and what it leaves."""
    fresh(job)
    points = crash_points(run(job), job.sweep)
    return points, content(job.folder.path)


def test_a_run_that_crashes_at_any_point_is_resumed_without_a_difference(job: Job) -> None:
    points, expected = undisturbed(job)
    for operation in ("open", "fsync", "replace", "link", "mkdir"):
        assert {f"before {operation}", f"after {operation}"} <= {point.rpartition(" ")[0] for point in points}
    for at, point in enumerate(points):
        fresh(job)
        assert crashed(run(job), job.sweep, at), point
        run(job)()
        assert content(job.folder.path) == expected, point


def test_a_resume_that_crashes_at_any_point_is_resumed_without_a_difference(job: Job) -> None:
    """The first crash leaves records that no checkpoint counts, so that the resume has them to cut."""
    points, expected = undisturbed(job)
    first = [at for at, point in enumerate(points) if point == f"after fsync {RECORDS.format(job.run.id)}"][1]
    fresh(job)
    assert crashed(run(job), job.sweep, first)
    half = job.sweep.with_name("half")
    job.sweep.rename(half)
    shutil.copytree(half, job.sweep)
    points = crash_points(run(job), job.sweep)
    assert {"before truncate", "after truncate"} <= {point.rpartition(" ")[0] for point in points}
    # From the next record on a resume is like a fresh run.
    points = points[: points.index(f"before open {RECORDS.format(job.run.id)}")]
    for at, point in enumerate(points):
        fresh(job)
        shutil.copytree(half, job.sweep, dirs_exist_ok=True)
        assert crashed(run(job), job.sweep, at), point
        run(job)()
        assert content(job.folder.path) == expected, point


def test_a_run_that_crashes_again_and_again_is_resumed_without_a_difference(job: Job) -> None:
    points, expected = undisturbed(job)
    for seed in range(SEQUENCES):
        fresh(job)
        rng = random.Random(seed)
        crashes = (rng.randrange(len(points)) for _ in range(rng.choice((2, 3))))
        # A resume has fewer points. One that comes to its end is over: no sweep starts it again.
        if all(crashed(run(job), job.sweep, at) for at in crashes):
            run(job)()
        assert content(job.folder.path) == expected, seed


def test_a_sweep_that_crashes_at_any_point_outside_its_runs_is_resumed_without_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipschitz.sweep.provenance._git", lambda *_: None)
    # Files that are changed once a second would make the number of crash points a matter of time.
    monkeypatch.setattr("lipschitz.sweep.joining.members.BEAT_SECONDS", 3600.0)
    engine, path = f"{ENGINE}:InProcess", write(tmp_path, TINY)
    folder = tmp_path / "results" / "tiny"
    folder.parent.mkdir()

    def swept() -> None:
        done = lipschitz("sweep", path, "--engine", engine, "--no-report", cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    points = crash_points(swept, folder)
    (run,) = (folder / "runs").iterdir()
    expected = content(run)
    outside = [(at, point) for at, point in enumerate(points) if " runs/" not in point]
    for file in (".sweep.json", ".provenance.json", "timing/"):
        assert any(f" {file}" in point for _, point in outside), file
    for at, point in outside:
        shutil.rmtree(folder)
        assert crashed(swept, folder, at), point
        swept()
        assert content(run) == expected, point
