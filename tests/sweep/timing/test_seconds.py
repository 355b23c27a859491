"""A budget in seconds: steps by the timing pass, and from then on the run's own."""

from dataclasses import replace
from io import StringIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from command_line import lipschitz
from counter_task import Counter
from pydantic import ValidationError
from rich.console import Console
from sweeps import ONE_CPU, TWO_CPUS, Interrupted, ProgressLog, Stopped, outcome, write

from lipschitz.errors import InputError
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.build import build
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.display import RunsDisplay, display
from lipschitz.sweep.engine.dispatcher import Dispatcher
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local
from lipschitz.sweep.engine.worker import work
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.tasks.terms import Training
from lipschitz.training.loop import Trainer

TEXT = """\
    name: timed
    task: transport
    datasets: [funnels]
    models: [{critic: {width: 8}}]
    constraints: [none, spectral_normalization]
    seeds: [0]
    training: {seconds: 0.6, batch_size: 8}
    evaluation: {every: 20, samples: 32, gradient_samples: 8}
"""
GAN = TEXT.replace("transport", "generation").replace("[funnels]", "[eight_gaussians]").replace("critic:", "mlp:")


def timed(discriminator: float, generator: float | None = None, n_dis: int = 1) -> dict[str, Any]:
    """What the timing pass would have measured, in ms."""
    parts = {"ms_discriminator_step": discriminator} | ({} if generator is None else {"ms_generator_step": generator})
    timings = {name: {"median": ms, "low": ms, "high": ms, "n": 40} for name, ms in parts.items()}
    return {**timings, "peak_memory": 1.0, "n_dis": n_dis, "device": "cpu"}


def jobs_in(folder: Path, text: str = TEXT, timings: tuple[dict[str, Any], ...] = (timed(10), timed(20))) -> list[Job]:
    """The sweep's jobs in ``folder``, with their timings already there."""
    folder.mkdir(exist_ok=True)
    sweep = load_sweep(write(folder, text))
    sweep_folder = SweepFolder(folder)
    sweep_folder.define(sweep.definition())
    for run, timing in zip(sweep.runs, timings, strict=False):
        sweep_folder.write_timing(run.configuration, {**timing, "labels": run.labels()})
    return [Job(run, folder, ONE_CPU, "cpu", {"device": "cpu"}, "cpu") for run in sweep.runs]


def work_to_20(job: Job, channel: Connection) -> None:
    work(job, Stopped(channel))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    jobs = jobs_in(tmp_path_factory.mktemp("undisturbed") / "out")
    Local().run(jobs, TWO_CPUS, ProgressLog())
    return jobs


@pytest.mark.parametrize(
    ("timing", "steps"),
    [
        (timed(10), 60),
        (timed(7), 85),
        (timed(601), 1),
        (timed(1e6), 1),
        (timed(1, 2), 200),
        (timed(1, 2, n_dis=5), 85),
    ],
)
def test_as_many_steps_as_fit_and_never_none(timing: dict[str, Any], steps: int) -> None:
    assert Training(seconds=0.6).steps_at(iteration_ms(timing)) == steps


def test_a_budget_in_steps_needs_no_timing() -> None:
    assert Training(steps=7).steps_at(None) == 7
    assert Training(steps=7).steps_at(1000.0) == 7


def test_one_budget_is_needed_and_no_more() -> None:
    for fields in ({}, {"steps": 3, "seconds": 3.0}, {"seconds": 0.0}, {"seconds": -1.0}, {"seconds": float("inf")}):
        with pytest.raises(ValidationError):
            Training(**fields)  # type: ignore[arg-type]


WRONG = {
    "neither": ("{seconds: 0.6, batch_size: 8}", "{batch_size: 8}", "training: no budget; allowed: steps or seconds, or epochs for classification"),
    "both": ("seconds: 0.6", "seconds: 0.6, steps: 30", "training: steps 30 and seconds 0.6 are two budgets; allowed: one of them"),
    "no time": ("seconds: 0.6", "seconds: 0", "training.seconds: input should be greater than 0, found 0"),
    "words": ("seconds: 0.6", "seconds: 1 h", "training.seconds: input should be a valid number, found '1 h'"),
    "for ever": ("seconds: 0.6", "seconds: .inf", "training.seconds: input should be a finite number, found inf"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_wrong_budget_is_one_line_that_says_where(tmp_path: Path, case: str) -> None:
    right, wrong, said = WRONG[case]
    assert right in TEXT
    path = write(tmp_path, TEXT.replace(right, wrong))
    with pytest.raises(InputError) as error:
        load_sweep(path)
    assert str(error.value) == f"{path}:7: {said}"


def test_a_part_s_budget_takes_the_place_of_the_file_s(tmp_path: Path) -> None:
    parts = (
        "    parts:\n      - training: {steps: 30}\n      - seeds: [1]\n      - {seeds: [2], training: {seconds: 2}}\n"
    )
    path = write(tmp_path, TEXT.replace("[none, spectral_normalization]", "[none]") + parts)
    budgets = [(run.training.steps, run.training.seconds, run.training.batch_size) for run in load_sweep(path).runs]
    assert budgets == [(30, None, 8), (None, 0.6, 8), (None, 2.0, 8)]
    (tmp_path / "small.yaml").write_text(path.read_text().replace("{steps: 30}", "{steps: 30, seconds: 1}"))
    with pytest.raises(InputError, match=r":10: parts\[0\].training: steps 30 and seconds 1 are two budgets"):
        load_sweep(path)


def test_a_limit_on_steps_takes_the_place_of_seconds(tmp_path: Path) -> None:
    limited, whole = load_sweep(write(tmp_path, TEXT), 20), load_sweep(write(tmp_path, TEXT))
    assert {(run.training.steps, run.training.seconds) for run in limited.runs} == {(20, None)}
    in_steps = load_sweep(write(tmp_path, TEXT.replace("seconds: 0.6", "steps: 20")))
    assert [run.id for run in limited.runs] == [run.id for run in in_steps.runs]
    assert not {run.id for run in limited.runs} & {run.id for run in whole.runs}


def test_seconds_are_part_of_the_id_and_no_timing_is(tmp_path: Path) -> None:
    ids = [run.id for run in load_sweep(write(tmp_path, TEXT)).runs]
    again = [run.id for run in load_sweep(write(tmp_path, TEXT.replace("0.6", "0.60"))).runs]
    longer = [run.id for run in load_sweep(write(tmp_path, TEXT.replace("0.6", "0.7"))).runs]
    assert ids == again
    assert not set(ids) & set(longer)
    assert ids == [job.run.id for job in jobs_in(tmp_path / "out")]


def test_steps_are_frozen_when_a_run_begins(tmp_path: Path) -> None:
    first, second = jobs_in(tmp_path / "out")
    assert (first.steps, second.steps) == (60, 30)
    first.folder.path.mkdir(parents=True)
    first.folder.define(first.run.definition(first.steps))
    for job in (first, second):
        SweepFolder(job.sweep).write_timing(job.run.configuration, timed(1))
    assert (first.steps, second.steps) == (60, 600), "the first one began"
    # Before the first checkpoint nothing was trained that a definition could be missing to.
    (first.folder.path / "run.json").write_text("{")
    assert first.steps == 600


def test_other_devices_time_does_not_count(tmp_path: Path) -> None:
    first, _ = jobs_in(tmp_path / "out")
    elsewhere = replace(first, timed_on="cuda: big")
    assert elsewhere.steps == 0
    SweepFolder(first.sweep).write_timing(first.run.configuration, {**timed(1), "device": "cuda: big"})
    assert (first.steps, elsewhere.steps) == (60, 600)
    first.folder.path.mkdir(parents=True)
    first.folder.define(first.run.definition(first.steps))
    assert elsewhere.steps == 60, "it began with these"


LOST = {
    "half": lambda path: path.write_text('{"steps": 4'),
    "none": Path.unlink,
    "no steps": lambda path: path.write_text('{"steps": null}'),
}


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("checkpoint", ["checkpoint.pt", "checkpoint.prev.pt"])
def test_a_run_that_lost_its_steps_fails_alone_and_says_so(tmp_path: Path, how: str, checkpoint: str) -> None:
    jobs = jobs_in(tmp_path / "out", TEXT.replace("0.6", "0.2"))
    lost, sound = jobs
    lost.folder.path.mkdir(parents=True)
    lost.folder.define(lost.run.definition(20))
    definition = lost.folder.path / "run.json"
    LOST[how](definition)
    before = definition.exists() and definition.read_bytes()
    (lost.folder.path / checkpoint).write_bytes(b"weights")
    with display(Console(file=StringIO()), "steps") as bars:
        Local().run(jobs, TWO_CPUS, RunsDisplay(bars.console, bars, jobs, 2))
    assert [lost.folder.status(), sound.folder.status()] == ["failed", "finished"]
    said = lost.folder.error.read_text()
    assert said.startswith(f"{definition}: cannot be read (")
    assert said.endswith("remove the run's folder to start again\n")
    assert said.count("\n") == 1
    assert (definition.exists() and definition.read_bytes()) == before, "nothing is frozen anew"
    assert (lost.folder.path / checkpoint).read_bytes() == b"weights"


def test_the_steps_of_a_lost_definition_are_those_of_a_checkpoint_of_the_run(tmp_path: Path) -> None:
    job, _ = jobs_in(tmp_path / "out")
    job.folder.path.mkdir(parents=True)
    for run, steps in (("another", 30), (job.run.id, 20)):
        Trainer(Counter(), job.folder, steps=steps, every=10, identity={"run": run, "data": "ab"}).save()
    job.folder.previous_checkpoint.replace(job.folder.path / "theirs.pt")
    assert job.steps == 20
    (job.folder.path / "theirs.pt").replace(job.folder.checkpoint)
    with pytest.raises(InputError, match="put it back"):
        assert job.steps


def test_a_budget_in_steps_outlives_a_lost_definition(tmp_path: Path) -> None:
    job, _ = jobs_in(tmp_path / "out", TEXT.replace("seconds: 0.6", "steps: 20"))
    job.folder.path.mkdir(parents=True)
    job.folder.checkpoint.write_bytes(b"weights")
    assert job.steps == 20


def test_seeds_share_the_timing_of_their_configuration(tmp_path: Path) -> None:
    text = TEXT.replace("[none, spectral_normalization]", "[none]").replace("[0]", "[0, 1, 2]")
    assert [job.steps for job in jobs_in(tmp_path / "out", text, (timed(10),))] == [60, 60, 60]


def test_an_interrupted_run_equals_an_undisturbed_one_whatever_is_timed_meanwhile(
    undisturbed: list[Job], tmp_path: Path
) -> None:
    job, _ = jobs_in(tmp_path / "interrupted")
    with pytest.raises(KeyboardInterrupt):
        Dispatcher([job], ["cpu"], Interrupted(), entry=work_to_20).run()
    assert job.folder.status() == "waiting"
    assert {record["step"] for record in job.folder.records()} == {0}, "told to stop, it measures no more"
    assert job.folder.definition()["steps"] == 60
    SweepFolder(job.sweep).write_timing(job.run.configuration, timed(3))
    Local().run([job], ONE_CPU, ProgressLog())
    assert outcome(job) == outcome(undisturbed[0])
    assert {step for step, *_ in outcome(job)[1]} == {0, 20, 40, 60}
    definition = job.folder.definition()
    assert definition["steps"] == 60
    assert (definition["run"]["training"]["steps"], definition["run"]["training"]["seconds"]) == (None, 0.6)


def test_a_run_of_seconds_equals_a_run_of_as_many_steps(undisturbed: list[Job], tmp_path: Path) -> None:
    job, _ = jobs_in(tmp_path / "steps", TEXT.replace("seconds: 0.6", "steps: 60"))
    Local().run([job], ONE_CPU, ProgressLog())
    assert outcome(job) == outcome(undisturbed[0])


def test_generation_counts_both_updates(tmp_path: Path) -> None:
    text = GAN.replace("    seeds:", "    settings: [{n_dis: 5}]\n    seeds:")
    job, _ = jobs_in(tmp_path / "out", text, (timed(2, 5, n_dis=5), timed(1, 1, n_dis=5)))
    assert job.steps == 40


def test_a_run_that_was_not_timed_fails_alone_and_says_why(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "out", TEXT.replace("0.6", "0.2"), (timed(10),))
    assert [job.steps for job in jobs] == [20, 0]
    Local().run(jobs, TWO_CPUS, ProgressLog())
    assert [job.folder.status() for job in jobs] == ["finished", "failed"]
    said = jobs[1].folder.error.read_text()
    assert said == f"{jobs[1].run.configuration}: not timed, so its budget in seconds cannot be converted to steps\n"


def test_a_dry_run_times_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT.replace("0.6", "60"))
    done = lipschitz("sweep", path, "--dry-run", "--workers", 2, cwd=tmp_path)
    assert done.returncode == 0
    assert "timed: 2 runs of 2 configurations, 120 seconds -> results/timed" in done.stdout
    assert "2 unfinished runs on 2 workers: about 1.0 min of training" in done.stdout
    assert list(tmp_path.iterdir()) == [path]
    limited = lipschitz("sweep", path, "--dry-run", "--limit-steps", 20, cwd=tmp_path)
    assert limited.returncode == 0, limited.stderr
    assert "40 steps -> results/timed-limit-20" in limited.stdout


def test_a_report_shows_the_steps_that_each_method_made(undisturbed: list[Job]) -> None:
    sweep = load(undisturbed[0].sweep)
    overview, *_ = build(Summary(sweep))
    steps = [column.head for column in overview.columns].index("Steps")
    assert {row[0].text: row[steps].text for row in overview.rows if row[0].text != "optimal potential"} == {
        "none": "60",
        "spectral_normalization": "30",
    }
