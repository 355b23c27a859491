"""A worker in this process: code of a run that exits or changes what is shared, and locks that others hold."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
import torch
from sweeps import ONE_CPU, SMALL, ProgressLog, write

from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine import active_run
from lipschitz.sweep.engine.active_run import ActiveRun
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.engine.worker import Worker
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.training.iterations import Uncapturable


class NoMore:
    """A worker's channel on which no job comes; it is at its end once the worker waits for one."""

    def poll(self, timeout: float) -> bool:
        return timeout > 0

    def recv(self) -> Any:
        raise EOFError


@pytest.fixture
def job(tmp_path: Path) -> Job:
    text = SMALL.replace("[none, spectral_normalization]", "[gradient_penalty]").replace("steps: 120", "steps: 40")
    run = load_sweep(write(tmp_path, text)).runs[0]
    (tmp_path / "out").mkdir()
    return Job(run, tmp_path / "out", ONE_CPU, "cpu", {}, "cpu: a")


def exits() -> None:
    raise SystemExit(0)


def interrupts() -> None:
    raise KeyboardInterrupt


def ignores_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (exits, "SystemExit: 0"),
        (interrupts, "KeyboardInterrupt"),
        (ignores_sigterm, "changed the handler of SIGTERM from train.<locals>.stop to SIG_IGN"),
    ],
)
def test_a_method_that_would_end_or_change_its_process_fails(
    job: Job, monkeypatch: pytest.MonkeyPatch, what: Callable[[], None], why: str
) -> None:
    def penalty(_: Any, net: Any, batch: Any, rng: Any) -> torch.Tensor:
        what()
        return batch.real.new_zeros(())

    monkeypatch.setattr(GradientPenalty, "penalty", penalty)
    assert train(job, ProgressLog()) is None
    assert job.folder.status() == "failed"
    assert why in job.folder.error.read_text()


def test_what_the_last_evaluation_changes_fails_the_run_before_it_has_a_result(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = GANTraining.evaluate

    def changing(task: GANTraining, draw: str) -> dict[str, float]:
        if draw == "best":
            torch.set_grad_enabled(False)
        return evaluate(task, draw)

    monkeypatch.setattr(GANTraining, "evaluate", changing)
    train(job, ProgressLog())
    assert job.folder.result() is None
    assert "changed torch's grad mode from True to False" in job.folder.error.read_text()
    assert torch.is_grad_enabled()


def test_a_run_says_for_whom_it_waits_and_not_for_ever(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    waiting, holder = ActiveRun(job), f"process {os.getpid()} on {gethostname()}"
    with job.folder.writing():
        assert not waiting.take_lock(said.append)
        assert said == [], "status holds the lock for a moment"
        monkeypatch.setattr(active_run, "SAY_SECONDS", -1.0)
        for _ in range(2):
            assert not waiting.take_lock(said.append)
        assert said == [f"{job.folder.path}: waiting for {holder}, which still holds the lock of this run"]
        impatient = ActiveRun(Job(job.run, job.sweep, Site(("cpu",), timeout=-1.0), "cpu", {}))
        with pytest.raises(InputError, match=f"locked by {holder} for 0 s; end that process"):
            impatient.take_lock(said.append)
    assert waiting.take_lock(said.append)
    waiting.lock.close()


def test_a_worker_that_waits_for_a_lock_can_be_stopped(job: Job) -> None:
    sent: list[Any] = []

    class Channel(NoMore):
        def send(self, message: Any) -> None:
            sent.append(message)
            worker.stop()

    worker = Worker(Channel())
    with job.folder.writing():
        worker.run(job)
    assert [message[0] for message in sent] == ["began", "alive", "stopped"]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), Uncapturable("CUDA out of memory.", lacked_memory=True)]
)
def test_a_run_that_lacks_memory_beside_other_workers_is_given_back(
    job: Job, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def penalty(_: Any, net: Any, batch: Any, rng: Any) -> torch.Tensor:
        raise error

    class Channel(NoMore):
        def send(self, message: Any) -> None:
            sent.append(message)

    monkeypatch.setattr(GradientPenalty, "penalty", penalty)
    sent: list[Any] = []
    with suppress(SystemExit):
        Worker(Channel()).run(replace(job, shares_gpu=True))
    assert sent[-1] == ("crowded", job.run.id, sent[-1][2])
    assert "CUDA out of memory." in sent[-1][2]
    assert job.folder.status() == "waiting"
    assert not job.folder.error.exists()
