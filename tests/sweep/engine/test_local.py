"""The local engine: one worker's death leaves the others alone."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from sweeps import ONE_CPU, TWO_CPUS, ProgressLog, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.dispatcher import Dispatcher
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local
from lipschitz.sweep.engine.worker import work
from lipschitz.sweep.timing.one_round import REPEATS
from lipschitz.sweep.timing.timing_pass import ROUNDS, time_configurations


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    runs = load_sweep(write(tmp_path)).runs[:2]
    (tmp_path / "out").mkdir()
    return [Job(run, tmp_path / "out", ONE_CPU, "cpu", {"device": "cpu"}, "cpu: a") for run in runs]


def dies_on_seed_0(job: Job, channel: Connection) -> None:
    if job.run.seed == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    work(job, channel)


def test_runs_report_their_steps_and_finish(jobs: list[Job]) -> None:
    log = ProgressLog()
    Local().run(jobs, ONE_CPU, log)
    assert [job.folder.status() for job in jobs] == ["finished", "finished"]
    assert log.lines[0] == "started 0 on cpu"
    assert log.lines.index("ended 0") < log.lines.index("started 1 on cpu"), "one slot, one run at a time"
    assert [line for line in log.lines if line.startswith("step 120")] == ["step 120 of 0", "step 120 of 1"]


def test_a_killed_worker_leaves_the_others_alone(jobs: list[Job]) -> None:
    log = ProgressLog()
    Dispatcher(jobs, TWO_CPUS.devices, log, entry=dies_on_seed_0).run()
    assert [job.folder.status() for job in jobs] == ["failed", "finished"]
    died = "the worker died (signal 9, SIGKILL); a lack of memory may be the cause"
    assert log.warnings == [f"{jobs[0].run.id}: {died}; started again from its checkpoint"]
    assert jobs[0].folder.error.read_text() == f"{died} (before its first step; it was tried 2 times)\n"


def test_an_exception_is_kept_with_its_traceback(jobs: list[Job]) -> None:
    # A folder where the journal should be: the worker cannot write its records.
    (jobs[0].folder.path / "records.jsonl").mkdir(parents=True)
    Local().run(jobs, TWO_CPUS, ProgressLog())
    assert [job.folder.status() for job in jobs] == ["failed", "finished"]
    assert "Traceback" in jobs[0].folder.error.read_text()
    assert "IsADirectoryError" in jobs[0].folder.error.read_text()


def test_a_sweep_is_timed_in_rounds(jobs: list[Job], tmp_path: Path) -> None:
    other = load_sweep(write(tmp_path)).runs[2]
    group, log = [jobs[0], replace(jobs[0], run=other)], ProgressLog()
    time_configurations([group], Local(), log)
    timings = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "out" / "timing").iterdir()}
    assert set(timings) == {job.run.configuration for job in group}
    for timing in timings.values():
        for part in ("ms_discriminator_step", "ms_generator_step"):
            assert len(timing["rounds"][part]) == ROUNDS
            assert timing[part]["n"] == ROUNDS * math.ceil(REPEATS / 4)
            assert timing[part]["low"] <= min(timing["rounds"][part])
            assert timing[part]["high"] >= max(timing["rounds"][part])
        assert timing["n_dis"] == 1
        assert timing["device"] == "cpu: a"
        assert "peak_memory" not in timing
    assert [line for line in log.lines if line.startswith(("started", "ended"))] == [
        "started 0 on cpu",
        "ended 0",
    ] * ROUNDS


def test_a_worker_s_float32_is_no_tf32() -> None:
    code = (
        "import torch; from lipschitz.sweep.process import prepare_process; prepare_process(); "
        "print(torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["ieee", "ieee"], done.stderr


def leaves_a_mark_and_meets(job: Job, answer: Callable[[dict[str, Any]], None], meet: Callable[[], None]) -> None:
    folder = job.sweep / "marks"
    folder.mkdir(exist_ok=True)
    for part in ("first", "second"):
        (folder / f"{part} {os.getpid()}").touch()
        meet()
        answer({part: len(list(folder.glob(f"{part} *")))})


def ends_unless_first(job: Job, answer: Callable[[dict[str, Any]], None], meet: Callable[[], None]) -> None:
    try:
        (job.sweep / "first").mkdir()
    except FileExistsError:
        os._exit(1)
    answer({"first": True})
    meet()
    answer({"met": True})


def test_processes_that_measure_together_wait_for_each_other_before_each_part(jobs: list[Job]) -> None:
    assert Local().call_together(leaves_a_mark_and_meets, jobs[0], 3) == [{"second": 3}] * 3


def test_where_one_of_them_ends_those_that_wait_for_it_are_ended(jobs: list[Job]) -> None:
    answers = Local().call_together(ends_unless_first, jobs[0], 3)
    assert sorted(answers, key=len) == [{}, {}, {"first": True}]


def never_answers(_: Job, answer: Callable[[dict[str, Any]], None], meet: Callable[[], None]) -> None:
    signal.pause()


def test_processes_that_do_not_answer_are_ended(jobs: list[Job]) -> None:
    impatient = replace(jobs[0], site=replace(ONE_CPU, timeout=0.01))
    assert Local().call_together(never_answers, impatient, 2) == []
