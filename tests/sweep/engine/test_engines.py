"""Engines as an extension point: one from a file completes a sweep, and a site's settings reach its runs."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

import pytest
from command_line import lipschitz
from in_process_engine import InProcess
from sweeps import ONE_CPU, SMALL, ProgressLog, outcome, write

from lipschitz.commands import dry_run
from lipschitz.commands import report as report_command
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.errors import InputError
from lipschitz.extensions.entry import default_config
from lipschitz.signals import SIGNALS, Stopped
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.base import ENGINES, TIMED_OUT
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local, _has_answered
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.process import ending_process, prepare_process, start_process
from lipschitz.sweep.store import SweepFolder
from lipschitz.training import checkpoint
from lipschitz.training.iterations import Uncapturable

ENGINE = Path(__file__).parents[2] / "support" / "in_process_engine.py"
ONE_SEED = SMALL.replace("[0, 1]", "[0]")


def jobs_in(folder: Path, site: Site = ONE_CPU, text: str = ONE_SEED) -> list[Job]:
    folder.mkdir()
    runs = load_sweep(write(folder, text)).runs
    (folder / "out").mkdir()
    return [Job(run, folder / "out", site, "cpu", {"device": "cpu"}, "cpu: a") for run in runs]


def test_an_engine_from_a_file_completes_a_sweep_with_the_numbers_of_the_local_one(tmp_path: Path) -> None:
    path = write(tmp_path, ONE_SEED)
    (tmp_path / "mine.py").write_text(ENGINE.read_text())
    done = lipschitz("sweep", path, "--engine", "mine.py:InProcess", "--no-report", "--workers", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1/2 finished" in done.stdout
    folder = SweepFolder(tmp_path / "results" / "small")
    assert len(folder.timings()) == 2
    theirs = jobs_in(tmp_path / "local")
    Local().run(theirs, ONE_CPU, ProgressLog())
    ours = [replace(job, sweep=folder.path) for job in theirs]
    assert [outcome(job) for job in ours] == [outcome(job) for job in theirs]


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("locall", "--engine: unknown engine 'locall'; did you mean 'local'?"),
        ("gone.py:Engine", "gone.py: cannot be read"),
        ("gone.py:Engine", "error: --engine: /"),
        ("mine.py:Needy", "--engine mine.py:Needy: missing key 'address'; every field needs a default"),
    ],
)
def test_a_wrong_engine_is_one_line(tmp_path: Path, engine: str, said: str) -> None:
    needy = "\n\nclass Needy(InProcess):\n    '''Needs an address.'''\n\n    address: str\n"
    (tmp_path / "mine.py").write_text(ENGINE.read_text() + needy)
    path = write(tmp_path)
    for more in ([], ["--dry-run"]):
        done = lipschitz("sweep", path, "--engine", engine, *more, cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_the_local_engine_is_the_package_s_own() -> None:
    assert list(ENGINES.own) == ["local"]
    assert default_config(ENGINES, "local", "--engine") == Local()


class Interrupting(ProgressLog):
    """Sends this process a signal when a run reaches a step."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self._number = number

    def stepped(self, job: Job, step: int) -> None:
        super().stepped(job, step)
        if step == 50:
            signal.raise_signal(self._number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_from_which_a_run_continues_in_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    handler = signal.getsignal(number)
    stopped, undisturbed = (jobs_in(tmp_path / name) for name in ("stopped", "undisturbed"))
    with pytest.raises(Stopped, match=number.name):
        InProcess().run(stopped, ONE_CPU, Interrupting(number))
    assert signal.getsignal(number) is handler
    beat = stopped[0].folder.heartbeat.read()
    assert beat is not None
    assert beat[:3] == (50, 120, pytest.approx(time.time(), abs=3600))
    assert [job.folder.status() for job in stopped] == ["waiting", "waiting"]
    assert checkpoint.read(stopped[0].folder.checkpoint)["step"] == 50
    InProcess().run(stopped, ONE_CPU, ProgressLog())
    InProcess().run(undisturbed, ONE_CPU, ProgressLog())
    assert [outcome(job) for job in stopped] == [outcome(job) for job in undisturbed]


def test_a_run_that_fails_in_process_is_named_and_the_next_one_runs(tmp_path: Path) -> None:
    jobs, log = jobs_in(tmp_path / "runs"), ProgressLog()
    (jobs[0].folder.path / "records.jsonl").mkdir(parents=True)
    InProcess().run(jobs, ONE_CPU, log)
    assert [job.folder.status() for job in jobs] == ["failed", "finished"]
    assert "IsADirectoryError" in jobs[0].folder.error.read_text()


def test_a_job_that_cannot_be_captured_is_returned_to_be_trained_uncaptured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Uncapturable("RuntimeError: no")

    text = ONE_SEED.replace("[none, spectral_normalization]", "[gradient_penalty]")
    (job,), log = jobs_in(tmp_path / "runs", text=text), ProgressLog()
    with monkeypatch.context() as patch:
        patch.setattr(GradientPenalty, "penalty", refuse)
        returned = train(job, log)
    assert returned == replace(job, captures=False)
    assert log.warnings == [f"{job.run.configuration}: not captured as a CUDA graph (slower): RuntimeError: no"]
    assert job.folder.status() == "waiting"
    assert train(returned, log) is None
    assert job.folder.status() == "finished"


class StepAtCheckpoint(ProgressLog):
    """Keeps the step of the checkpoint that is there when a run has reached a step."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[int, int] = {}

    def stepped(self, job: Job, step: int) -> None:
        self.saved[step] = checkpoint.read(job.folder.checkpoint)["step"]


@pytest.mark.parametrize(("seconds", "saved"), [(None, 0), (0.0, 50)])
def test_the_checkpoint_interval_of_a_site(tmp_path: Path, seconds: float | None, saved: int) -> None:
    site = replace(ONE_CPU, checkpoint_seconds=seconds)
    progress = StepAtCheckpoint()
    InProcess().run(jobs_in(tmp_path / "runs", site, ONE_SEED.replace("every: 40", "every: 120"))[:1], site, progress)
    assert progress.saved[100] == saved


def test_every_option_of_the_site_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []
    monkeypatch.setattr(dry_run, "show_plan", lambda request, console: requests.append(request))
    options = "--device cpu --workers 3 --data-root d --inception-weights w.pth --pack 2 --checkpoint-seconds 7"
    options += " --keep-checkpoints --timeout 90"
    path = write(tmp_path)
    lipschitz("sweep", path, "--dry-run", *options.split(), "--engine", "mine.py:Mine", cwd=tmp_path)
    lipschitz("sweep", path, "--dry-run", "--device", "cpu", "--workers", 1, cwd=tmp_path)
    assert [request.site for request in requests] == [
        Site(("cpu",) * 3, Path("d"), Path("w.pth"), 2, 7.0, "mine.py:Mine", keep_checkpoints=True, timeout=90.0),
        ONE_CPU,
    ]


STOPPED = """

class StoppedIn(InProcess):
    '''Gets a SIGTERM in the timing pass.'''

    def call(self, measurement, job):
        import signal
        signal.raise_signal(signal.SIGTERM)
"""


def test_a_stop_in_the_timing_pass_is_one_line_and_leaves_every_run_waiting(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ENGINE.read_text() + STOPPED)
    done = lipschitz("sweep", write(tmp_path, ONE_SEED), "--engine", "mine.py:StoppedIn", "--workers", 1, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (75, "")
    assert done.stdout.splitlines()[-1].startswith("stopped by SIGTERM: run the same command again; ")
    assert "2 waiting" in lipschitz("status", "results/small", cwd=tmp_path).stdout


def test_a_stop_while_the_report_is_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_command, "report", lambda *_, **__: signal.raise_signal(signal.SIGHUP))
    done = lipschitz("report", tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (129, "", "stopped by SIGHUP\n")


def hangs(_: Job, answer: Callable[[dict[str, Any]], None]) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def test_a_measurement_without_progress_is_ended(tmp_path: Path) -> None:
    job = replace(jobs_in(tmp_path / "runs")[0], site=replace(ONE_CPU, timeout=1.0))
    assert Local().call(hangs, job) == {TIMED_OUT: True}


def test_time_in_which_this_process_was_stopped_does_not_count() -> None:
    class Silent:
        polled: ClassVar[list[float]] = []

        def poll(self, seconds: float) -> bool:
            self.polled.append(seconds)
            return False

    assert not _has_answered(Silent(), 25.0)  # type: ignore[arg-type]
    assert Silent.polled == [10.0, 10.0, 5.0]


def leaves_a_thread(channel: Connection) -> None:
    prepare_process()
    with ending_process():
        threading.Thread(target=threading.Event().wait).start()


def test_a_thread_that_code_of_a_run_has_left_does_not_keep_its_process() -> None:
    process, _ = start_process(leaves_a_thread, name="thread")
    process.join(60)
    assert process.exitcode == 0
    process.kill()


def signals_itself(_: Job, answer: Callable[[dict[str, Any]], None]) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), number)
    answer({"alive": True})


def test_what_a_terminal_sends_to_all_of_its_processes_is_left_to_the_parent(tmp_path: Path) -> None:
    assert Local().call(signals_itself, jobs_in(tmp_path / "runs")[0]) == {"alive": True}


def test_the_fork_server_outlives_a_signal_to_the_whole_group(tmp_path: Path) -> None:
    process, _ = start_process(leaves_a_thread, name="first")
    process.join()
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    for number in SIGNALS:
        os.kill(server, number)
    assert Local().call(signals_itself, jobs_in(tmp_path / "runs")[0]) == {"alive": True}
    assert forkserver._forkserver._forkserver_pid == server  # type: ignore[attr-defined]


def answers_and_dies(_: Job, answer: Callable[[dict[str, Any]], None]) -> None:
    answer({"found": 1})
    answer({"found": 2})
    os.kill(os.getpid(), signal.SIGKILL)


def dies(_: Job, answer: Callable[[dict[str, Any]], None]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_leaves_the_last_of_what_it_found(tmp_path: Path) -> None:
    job = jobs_in(tmp_path / "runs")[0]
    assert Local().call(answers_and_dies, job) == {"found": 2}
    assert Local().call(dies, job) == {}


def test_a_run_knows_nothing_of_its_site(tmp_path: Path) -> None:
    job = jobs_in(tmp_path / "runs")[0]
    elsewhere = replace(job, site=Site(("cpu", "cpu"), pack=3, checkpoint_seconds=1.0, engine="mine.py:Mine"))
    assert elsewhere.run.id == job.run.id
    assert elsewhere.run.definition(1) == job.run.definition(1)
    with pytest.raises(InputError):
        default_config(ENGINES, elsewhere.site.engine, "--engine")
