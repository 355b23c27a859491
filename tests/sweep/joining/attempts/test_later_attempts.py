"""Who goes on with a run, and when: processes taken for lost, attempts removed, what observers wrote, and verify."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from one_run import FINISHED, OTHER, OWN, SITE, At, files, job_of
from pydantic import PrivateAttr
from sweeps import ProgressLog

from lipschitz.commands.verify import verify
from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.earlier_attempts import go_on
from lipschitz.sweep.engine.in_process import _ProgressChannel, train
from lipschitz.sweep.joining.claimed_jobs import ClaimedJobs
from lipschitz.sweep.joining.claims import Claims
from lipschitz.sweep.joining.members import Members, OwnMember
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder
from lipschitz.training.loop import Trainer
from lipschitz.training.observers import Observer

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


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
