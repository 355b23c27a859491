"""Attempts at one run: whatever fails, and whoever goes on when, no file of the result is lost or written by two."""

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from counter_task import Counter
from crash_points import in_process
from pydantic import PrivateAttr
from sweeps import ProgressLog, write

from lipschitz.commands.verify import verify
from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.engine.earlier_attempts import go_on
from lipschitz.sweep.engine.in_process import _ProgressChannel, train
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.input_checks import check_begun
from lipschitz.sweep.joining.claimed_jobs import ClaimedJobs
from lipschitz.sweep.joining.claims import Claims
from lipschitz.sweep.joining.members import Members, OwnMember
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder
from lipschitz.training.loop import Trainer
from lipschitz.training.observers import Observer

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
SITE = Site(("cpu",), checkpoint_seconds=0.0, joins=True)
OWN, OTHER = "attempt-aa-0", "attempt-bb-0"

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "build", lambda job, data=None: Counter())


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return load_sweep(write(tmp_path, TINY, "tiny.yaml"), out=tmp_path / "tiny")


@pytest.fixture
def run(sweep: Sweep) -> RunFolder:
    return SweepFolder(sweep.folder).run(sweep.runs[0].id)


def job_of(sweep: Sweep, attempt: str = "", device: str = "cpu: a", site: Site = SITE) -> Job:
    """Return the job of a process that joined or, without an attempt, of a sweep by itself."""
    return Job(sweep.runs[0], sweep.folder, site, "cpu", {"device": device}, "cpu: a", attempt=attempt)


class At(ProgressLog):
    """Calls something once, when the run has come to a step."""

    def __init__(self, calls: dict[int, Callable[[], object]]) -> None:
        super().__init__()
        self._calls = calls

    @property
    def was_there(self) -> bool:
        return not self._calls

    def stepped(self, job: Job, step: int) -> None:
        super().stepped(job, step)
        self._calls.pop(step, lambda: None)()


def files(run: RunFolder) -> set[str]:
    return {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.name != "lock"}


FINISHED = {"run.json", "records.jsonl", "samples.npz", "networks.pt", "result.json"}


@pytest.mark.parametrize("name", ["records.jsonl", "samples.npz", "networks.pt", "run.json"])
def test_a_file_that_cannot_be_moved_stays_in_its_attempt_until_it_can(
    sweep: Sweep, run: RunFolder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    replace = Path.replace

    def fails(path: Path, target: Path) -> Path:
        if path.name == name and path.parent.name == OWN and target.parent == run.path:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fails)
    train(job_of(sweep, OWN), ProgressLog())
    assert run.status() == "finished"
    assert f"{OWN}/{name}" in files(run)
    monkeypatch.undo()
    SweepFolder(sweep.folder).clear_attempts([run.run_id])
    assert (run.status(), files(run)) == ("finished", FINISHED)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_result_that_was_linked_in_spite_of_an_error_is_that_of_the_run(
    sweep: Sweep, run: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    link = os.link

    def fails(source: Any, target: Any) -> None:
        link(source, target)
        if Path(target).name == "result.json":
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fails)
    train(job_of(sweep, OWN), ProgressLog())
    assert (run.status(), files(run)) == ("finished", FINISHED)


def test_an_attempt_that_cannot_be_listed_is_not_taken_for_one_that_was_moved(
    sweep: Sweep, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterdir = Path.iterdir

    def fails(path: Path) -> Any:
        if path.name == OWN:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", fails)
    train(job_of(sweep, OWN), ProgressLog())
    monkeypatch.undo()
    assert run.status() == "finished"
    SweepFolder(sweep.folder).clear_attempts([run.run_id])
    assert (run.status(), files(run)) == ("finished", FINISHED)


def test_a_sweep_by_itself_writes_nothing_to_an_attempt_of_another_device(sweep: Sweep, run: RunFolder) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(job_of(sweep, OTHER, "cuda: b"), At({100: lambda: signal.raise_signal(signal.SIGTERM)}))
    kept = {path.name: path.read_bytes() for path in (run.path / OTHER).iterdir()}
    with pytest.raises(InputError, match=rf"{OTHER}: .*cuda"):
        check_begun([job_of(sweep, site=replace(SITE, joins=False))])
    check_begun([job_of(sweep)])
    written: dict[str, bytes] = {}
    log = At({100: lambda: written.update({path.name: path.read_bytes() for path in (run.path / OTHER).iterdir()})})
    train(job_of(sweep), log)
    assert log.was_there
    assert written == kept
    assert (run.status(), files(run)) == ("finished", FINISHED)
    assert [origin["device"] for origin in run.origins()] == ["cpu: a"], "the other process has not trained it"


def test_a_sweep_by_itself_writes_nothing_to_an_attempt_that_appears(sweep: Sweep, run: RunFolder) -> None:
    """As of a process that was stopped, was taken for lost, and goes on."""
    expected: list[bytes] = []

    def appears() -> None:
        other = job_of(sweep, OTHER).folder
        other.open()
        go_on(other, "cpu")
        other.heartbeat.write(90, 120)
        expected.append((other.path / "records.jsonl").read_bytes())

    written: list[bytes] = []
    log = At({80: appears, 100: lambda: written.append((run.path / OTHER / "records.jsonl").read_bytes())})
    train(job_of(sweep), log)
    assert log.was_there
    assert written == expected
    assert (run.status(), files(run)) == ("finished", FINISHED)
    assert {record["step"] for record in run.records()} == {0, 80, 120}


def test_an_attempt_that_cannot_be_removed_is_not_written_to(
    sweep: Sweep, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(job_of(sweep, OTHER), At({100: lambda: signal.raise_signal(signal.SIGTERM)}))
    kept = (run.path / OTHER / "records.jsonl").read_bytes()
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    train(job_of(sweep), ProgressLog())
    assert (run.path / OTHER / "records.jsonl").read_bytes() == kept
    assert run.status() == "finished"
    assert len(run.records()) == 3 * len(kept.splitlines()) // 2


def test_a_sweep_by_itself_ends_without_a_result_where_another_process_was_faster(
    sweep: Sweep, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one was stopped, was taken for lost, and goes on."""
    monkeypatch.setattr("lipschitz.sweep.engine.active_run.LOOK_SECONDS", 3600.0)
    results: list[bytes] = []

    def ends() -> None:
        assert in_process(lambda: train(job_of(sweep, OTHER), ProgressLog()), sweep.folder) == 0
        results.append((run.path / "result.json").read_bytes())
        assert run.status() == "finished"
        assert f"{OTHER}/records.jsonl" in files(run), "nothing is moved to where this process writes"

    log = At({100: ends})
    train(job_of(sweep), log)
    assert log.was_there
    assert [(run.path / "result.json").read_bytes()] == results
    assert (run.status(), files(run)) == ("finished", FINISHED)


def test_a_sweep_by_itself_looks_whether_its_run_is_over(
    sweep: Sweep, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipschitz.sweep.engine.active_run.LOOK_SECONDS", 0.0)
    log = At({50: lambda: in_process(lambda: train(job_of(sweep, OTHER), ProgressLog()), sweep.folder)})
    train(job_of(sweep), log)
    assert log.was_there
    assert not any(line.startswith("step 100") for line in log.lines)
    assert (run.status(), files(run)) == ("finished", FINISHED)


def test_who_was_taken_for_lost_stops_where_a_sweep_by_itself_has_begun(
    sweep: Sweep, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipschitz.sweep.engine.active_run.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("lipschitz.sweep.joining.members.BEAT_SECONDS", 3600.0)
    folder = SweepFolder(sweep.folder)
    own = OwnMember(folder.members, plan="p", joins=True)
    alone: list[OwnMember] = []

    def begins() -> None:
        own.path.unlink()
        alone.append(OwnMember(folder.members, plan="p", joins=False))

    log = At({100: begins})
    train(job_of(sweep, f"attempt-{own.token}-0"), log)
    assert log.was_there
    assert run.status() == "waiting"
    assert (run.path / f"attempt-{own.token}-0/checkpoint.pt").exists()
    claims = Claims(folder.claims, own, Members(folder.members, own.token))
    with pytest.raises(InputError, match="stood still for longer than --lease"):
        claims.take(run.run_id, None)
    assert not own.path.exists()
    alone[0].leave()
    assert claims.take(run.run_id, None)
    own.leave()


def test_a_run_whose_attempt_was_removed_has_not_failed(
    sweep: Sweep, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt stood still before its first checkpoint; another process took it for lost and began."""
    restore = Trainer.restore

    def stands_still(trainer: Trainer) -> list[str]:
        lost = restore(trainer)
        other = job_of(sweep, OTHER).folder
        other.open()
        go_on(other, "cpu")
        return lost

    sent: list[Any] = []
    monkeypatch.setattr(Trainer, "restore", stands_still)
    monkeypatch.setattr(_ProgressChannel, "send", lambda channel, message: sent.append(message))
    train(job_of(sweep, OWN), ProgressLog())
    assert sent[-1] == ("left", run.run_id)
    assert not (run.path / OWN).exists()
    assert (run.status(), run.error.exists()) == ("waiting", False)


def test_a_run_that_another_process_goes_on_with_is_tried_again_once_that_is_gone(sweep: Sweep) -> None:
    folder = SweepFolder(sweep.folder)
    own, other = (OwnMember(folder.members, plan="p", joins=True) for _ in range(2))
    queue, others = (
        ClaimedJobs([job_of(sweep)], Claims(folder.claims, member, Members(folder.members, member.token)), member.token)
        for member in (own, other)
    )
    job = queue.take()
    assert job is not None
    own.path.unlink()
    taken = others.take()
    assert taken is not None, "the first was taken for lost"
    queue.give_back([job])
    assert queue.take() is None
    assert own.path.exists(), "it takes part again"
    other.leave()
    again = queue.take()
    assert again is not None
    assert again.folder.path != job.folder.path
    own.leave()


class Watches(Observer):
    """Writes a file to a folder of its own when it begins, and one at the end."""

    _folder: Path = PrivateAttr(Path())

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        self._folder = folder
        (folder / "events").mkdir(exist_ok=True)
        (folder / "events" / f"from {step}").touch()

    def on_end(self, result: dict[str, Any]) -> None:
        (self._folder / "end.txt").touch()


def test_what_observers_write_goes_on_and_stays(sweep: Sweep, run: RunFolder) -> None:
    site = replace(SITE, observers=(Watches(),))
    with pytest.raises(KeyboardInterrupt):
        train(job_of(sweep, OTHER, site=site), At({100: lambda: signal.raise_signal(signal.SIGTERM)}))
    log = ProgressLog()
    train(job_of(sweep, OWN, site=site), log)
    assert not [line for line in log.lines if "observer" in line]
    assert run.status() == "finished"
    assert files(run) == {*FINISHED, "events", "events/from 0", "events/from 100", "end.txt"}


def test_attempts_at_a_run_that_was_interrupted_are_verified(sweep: Sweep, run: RunFolder) -> None:
    folder = SweepFolder(sweep.folder)
    folder.path.mkdir()
    folder.define(sweep.definition())
    (run.path / OWN).mkdir(parents=True)
    assert verify(sweep.folder), "it was stopped before it began"
    with pytest.raises(KeyboardInterrupt):
        train(job_of(sweep, OTHER), At({100: lambda: signal.raise_signal(signal.SIGTERM)}))
    assert verify(sweep.folder)
    (run.path / OTHER / "checkpoint.pt").write_bytes(b"damaged")
    assert not verify(sweep.folder)
