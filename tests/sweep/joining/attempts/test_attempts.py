"""Attempts at one run: whatever fails, no file of the result is lost, or written by two processes."""

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crash_points import in_process
from one_run import FINISHED, OTHER, OWN, SITE, At, files, job_of
from sweeps import ProgressLog

from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.earlier_attempts import go_on
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.input_checks import check_begun
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


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
