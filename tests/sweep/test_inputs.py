"""Data that change while a sweep is stopped, or between two of its runs, are refused in one line."""

import json
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import Done, lipschitz
from sweeps import ONE_CPU, ProgressLog, write

from lipschitz.datasets.point_data import hash_numbers
from lipschitz.errors import InputError
from lipschitz.signals import Stopped
from lipschitz.sweep import inputs
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.inputs import claim_inputs, inputs_of
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder
from lipschitz.training import checkpoint

DATASET = '''\
    """Points around a centre, which is in a file."""

    import torch

    from lipschitz.datasets.base import Dataset
    from lipschitz.datasets.point_data import gaussian_mixture


    class Cloud(Dataset):
        """A Gaussian."""

        source = "A file of the user's"
        kind = "points"

        @property
        def shape(self):
            return (2,)

        def load(self, data_root, device):
            centre = float((data_root / "centre.txt").read_text())
            return gaussian_mixture(torch.full((1, 2), centre, device=device), 0.1, {"centre": centre})
    '''
SWEEP = """\
    name: small
    task: generation
    datasets: ["cloud.py:Cloud"]
    models: [{mlp: {width: 4, depth: 1}}]
    constraints: [none]
    seeds: [0, 1]
    training: {steps: 20, batch_size: 4}
    evaluation: {every: 10, samples: 8, gradient_samples: 4}
"""
ENGINE = Path(__file__).parents[1] / "support" / "in_process_engine.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, DATASET, "cloud.py")
    put(tmp_path, 1.0)
    return tmp_path


def put(folder: Path, centre: float) -> str:
    """Write the data, and return the first digits of their SHA-256."""
    (folder / "centre.txt").write_text(str(centre))
    return hash_numbers({"centre": centre})[:12]


def swept(folder: Path, text: str = SWEEP, *options: object) -> Done:
    """Run a sweep in this process, without a timing pass and a report."""
    (folder / "engine.py").write_text(ENGINE.read_text())
    path, run = write(folder, text), ["--engine", "engine.py:Untimed", "--no-report", "--workers", 1]
    return lipschitz("sweep", path, "--data-root", folder, *run, *options, cwd=folder)


def runs(folder: Path) -> list[RunFolder]:
    return SweepFolder(folder / "results" / "small").runs()


def job_in(folder: Path, **fields: Any) -> Job:
    run = load_sweep(write(folder, SWEEP)).runs[0]
    return Job(run, folder / "out", Site(("cpu",), folder, checkpoint_seconds=0.0), "cpu", {}, **fields)


class Stopping(ProgressLog):
    """Stops the run at step 10, as the end of a cluster's job does."""

    def stepped(self, job: Job, step: int) -> None:
        if step == 10:
            signal.raise_signal(signal.SIGTERM)


def trained(job: Job, progress: ProgressLog | None = None) -> list[str]:
    """Train a job in this process, and return the warnings."""
    progress = progress or ProgressLog()
    with suppress(Stopped):
        train(job, progress)
    return progress.warnings


def test_a_run_its_checkpoint_and_its_facts_name_the_data(folder: Path) -> None:
    job, expected = job_in(folder), hash_numbers({"centre": 1.0})
    trained(job, Stopping())
    assert checkpoint.read(job.folder.checkpoint)["identity"] == {"run": job.run.id, "data": expected}
    assert trained(job) == []
    result = job.folder.result()
    assert result is not None
    assert job.folder.definition()["inputs"] == {"data": expected}
    assert {facts["data"] for facts in result["protocols"].values()} == {f"SHA-256 {expected[:12]}"}


@pytest.mark.parametrize("dry", [False, True])
def test_other_data_than_those_of_a_finished_run_are_refused(folder: Path, dry: bool) -> None:
    before = put(folder, 1.0)
    assert swept(folder, SWEEP.replace("[0, 1]", "[0]")).returncode == 0
    (one,) = runs(folder)
    files = {path: path.read_bytes() for path in one.path.iterdir()}
    after = put(folder, 2.0)
    done = swept(folder, SWEEP, "--force", *["--dry-run"] * dry)
    said = done.stdout if dry else done.stderr
    assert (
        f"results/small: made with Cloud of SHA-256 {before}, which now is {after}; put the data back, or use another "
        "--out\n" in said
    )
    assert done.returncode == (0 if dry else 2)
    assert {path: path.read_bytes() for path in one.path.iterdir()} == files
    assert len(runs(folder)) == 1
    put(folder, 1.0)
    assert swept(folder, SWEEP, "--force").returncode == 0
    assert [run.status() for run in runs(folder)] == ["finished", "finished"]


def test_a_run_of_an_earlier_version_is_accepted(folder: Path) -> None:
    assert swept(folder, SWEEP.replace("[0, 1]", "[0]")).returncode == 0
    path = runs(folder)[0].path / "run.json"
    old = json.loads(path.read_text())
    del old["inputs"], old["checksum"]
    path.write_text(json.dumps(old))
    put(folder, 2.0)
    assert swept(folder, SWEEP, "--force").returncode == 0


def test_data_that_change_after_the_sweep_was_started_fail_the_run(folder: Path) -> None:
    """The worker loads them again: nothing is trained, and the reason is one line."""
    before, after = put(folder, 1.0), put(folder, 2.0)
    job = job_in(folder, inputs={"data": hash_numbers({"centre": 1.0})})
    trained(job)
    assert job.folder.status() == "failed"
    assert job.folder.error.read_text() == (
        f"Cloud changed since the sweep was started: its SHA-256 was {before} and is {after}; put the data back, and "
        "run the sweep again\n"
    )
    assert {path.name for path in job.folder.path.iterdir()} == {"error.txt", "lock"}


def test_a_checkpoint_of_other_data_is_not_resumed(folder: Path) -> None:
    job = job_in(folder)
    trained(job, Stopping())
    after = put(folder, 2.0)
    first, second, then = trained(job)
    for line in (first, second):
        assert f"of another run: its data is {hash_numbers({'centre': 1.0})[:12]}, not {after}" in line
    assert then.endswith("starting again; later records are removed")
    assert job.folder.status() == "finished"
    assert job.folder.definition()["inputs"] == {"data": hash_numbers({"centre": 2.0})}


@pytest.mark.parametrize("dry", [False, True])
def test_a_run_that_was_begun_on_a_gpu_is_refused_on_a_cpu_before_anything_is_written(folder: Path, dry: bool) -> None:
    job = replace(job_in(folder), sweep=folder / "results" / "small")
    trained(replace(job, provenance={"device": "cuda: NVIDIA H200; 1 worker of one thread"}), Stopping())
    files = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    done = swept(folder, SWEEP, *["--dry-run"] * dry)
    assert done.returncode == (0 if dry else 2)
    assert (
        f"results/small/runs/{job.run.id}: begun on cuda, whose random numbers cannot go on on cpu; use --device cuda, "
        "or remove this folder to start the run again\n" in (done.stdout if dry else done.stderr)
    )
    assert files.items() <= {path: path.read_bytes() for path in files}.items()


@pytest.mark.parametrize("name", ["run.json", "records.jsonl", "samples.npz", "result.json"])
def test_a_damaged_run_is_made_again_with_the_same_numbers(folder: Path, name: str) -> None:
    one_seed = SWEEP.replace("[0, 1]", "[0]")
    assert swept(folder, one_seed).returncode == 0
    (run,) = runs(folder)
    before = [(record["step"], record["metric"], record["value"]) for record in run.records()]
    damaged = (run.path / name).read_bytes().replace(b"0", b"1", 1)
    (run.path / name).write_bytes(damaged)
    assert lipschitz("status", run.path.parents[1], cwd=folder).stdout.startswith(f"damaged  {run.path.name}  ({name}")
    done = swept(folder, one_seed)
    assert done.returncode == 0, done.stderr
    assert f"warning: results/small/runs/{run.path.name}/{name}: " in done.stdout
    assert (run.path / f"{name}.broken").read_bytes() == damaged
    assert run.status() == "finished"
    assert [(record["step"], record["metric"], record["value"]) for record in run.records()] == before


def test_the_networks_that_judge_a_run_are_inputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inputs, "reference_classifier", lambda *_: SimpleNamespace(sha256="c" * 64))
    monkeypatch.setattr(inputs, "read_weights", lambda _: (b"", "e" * 64))
    monkeypatch.setattr(inputs, "weights_file", lambda given: given)
    text = SWEEP.replace('"cloud.py:Cloud"', "digits").replace("{mlp: {width: 4, depth: 1}}", "{dcgan: {width: 4}}")
    small = "{sngan: {n_real: 20, n_fake: 20, score_samples: 20, score_splits: 2}}"
    judged = text.replace("gradient_samples: 4}", f"gradient_samples: 4, protocols: [{small}]}}")
    jobs = [Job(load_sweep(write(tmp_path, one)).runs[0], tmp_path, ONE_CPU, "cpu", {}) for one in (text, judged)]
    data = jobs[0].load()
    assert inputs_of(jobs[0].run, data, None) == {"data": data.hash, "classifier": "c" * 64}
    assert inputs_of(jobs[1].run, data, None) == {"data": data.hash, "classifier": "c" * 64, "inception": "e" * 64}
    claimed = claim_inputs(jobs, {"digits": data.hash}, SweepFolder(tmp_path))
    assert claimed[1].inputs == {"data": data.hash, "classifier": "c" * 64, "inception": "e" * 64}
    run = SweepFolder(tmp_path).run("other")
    run.path.mkdir(parents=True)
    for key, said in (("classifier", "a reference classifier of digits"), ("inception", "weights of the Inception")):
        run.define({"labels": {"dataset": "digits"}, "inputs": {key: "d" * 64}})
        # A run that failed before anything was measured holds nothing.
        (run.path / "records.jsonl").unlink(missing_ok=True)
        claim_inputs(jobs, {"digits": data.hash}, SweepFolder(tmp_path))
        run.append_records([{"step": 0, "seconds": 0.0, "metric": "w1", "value": 1.0}])
        with pytest.raises(InputError, match=rf"made with {said}.* of SHA-256 d{{12}}, which now is .{{12}}; "):
            claim_inputs(jobs, {"digits": data.hash}, SweepFolder(tmp_path))
