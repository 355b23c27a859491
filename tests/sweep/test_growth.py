"""A sweep that grows goes on in its folder; one that would leave runs out says so. Runs of another machine are used."""

import shutil
from pathlib import Path

import in_process_engine
import pytest
from command_line import Done, lipschitz
from sweeps import SMALL, write

from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.growth import Growth, growth, refuse_smaller
from lipschitz.sweep.store import SweepFolder

ENGINE = f"{in_process_engine.__file__}:Untimed"
TINY = SMALL.replace("[none, spectral_normalization]", "[none]")


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    """A folder that was made by `SMALL`: its definition, and those of its runs."""
    plan = load_sweep(write(tmp_path, SMALL), out=tmp_path / "out")
    folder = SweepFolder(plan.folder)
    for run in plan.runs:
        path = folder.run(run.id).path
        path.mkdir(parents=True)
        folder.run(run.id).define(run.definition(120))
    folder.define(plan.definition())
    return folder


def changed(folder: SweepFolder, old: str, new: str, *overrides: str) -> tuple[Sweep, Growth]:
    assert old in SMALL
    plan = load_sweep(write(folder.path.parent, SMALL.replace(old, new)), out=folder.path, overrides=overrides)
    found = growth(folder, plan)
    assert found is not None
    return plan, found


@pytest.mark.parametrize(
    ("old", "new", "added"),
    [
        ("[0, 1]", "[0, 1, 2]", 2),
        ("[none, ", "[none, frobenius_penalty, ", 2),
        ("[eight_gaussians]", "[eight_gaussians, swiss_roll]", 4),
        ("seeds: [0, 1]", "parts: [{seeds: [0, 1]}, {seeds: [0], training: {steps: 240}}]", 2),
        ("name: small", "name: large", 0),
    ],
)
def test_a_sweep_that_grows_goes_on(folder: SweepFolder, old: str, new: str, added: int) -> None:
    plan, found = changed(folder, old, new)
    refuse_smaller(folder, plan)
    assert (found.kept, len(found.new), found.shorter, found.left_out) == (4, added, [], [])


def test_what_grows_is_said(folder: SweepFolder) -> None:
    _, found = changed(folder, "[0, 1]", "[0, 1, 2]")
    assert found.lines(folder) == [
        f"{folder.path}: 4 runs of it stay, 2 are new (seeds was [0, 1], is [0, 1, 2])",
    ]
    _, same = changed(folder, "[0, 1]", "[0, 1]")
    assert same.lines(folder) == []


@pytest.mark.parametrize("overrides", [[], ["training.steps=240"]])
def test_more_steps_are_new_runs_and_the_shorter_ones_stay(folder: SweepFolder, overrides: list[str]) -> None:
    plan, found = changed(folder, "steps: 120", "steps: 120" if overrides else "steps: 240", *overrides)
    refuse_smaller(folder, plan)
    assert (found.kept, len(found.new), len(found.shorter), found.left_out) == (0, 4, 4, [])
    _, line = found.lines(folder)
    assert line.endswith(" are made anew with more steps; the shorter stay, and are not reported")


@pytest.mark.parametrize(
    ("old", "new", "left_out"),
    [("[0, 1]", "[0]", 2), ("steps: 120", "steps: 60", 4), ("batch_size: 8", "batch_size: 4", 4)],
)
def test_a_sweep_that_would_leave_runs_out_is_refused(folder: SweepFolder, old: str, new: str, left_out: int) -> None:
    plan, found = changed(folder, old, new)
    assert len(found.left_out) == left_out
    with pytest.raises(InputError, match=rf"{left_out} runs \(.* are not in this one: .* was .*--force"):
        refuse_smaller(folder, plan)
    assert found.lines(folder)[-1].endswith(" are not in this plan; their folders stay, and are not reported")


def test_settings_that_wait_for_results_leave_no_run_out(tmp_path: Path) -> None:
    parts = "parts: [{seeds: [8]}, {seeds: [0], select: {metric: w1}}]\n    settings: [A, C]"
    plan = load_sweep(write(tmp_path, SMALL.replace("seeds: [0, 1]", parts)), out=tmp_path / "out")
    folder = SweepFolder(plan.folder)
    folder.path.mkdir()
    chosen = sorted(plan.undecided)[0]
    folder.define(plan.definition() | {"runs": [*(run.id for run in plan.runs), chosen]})
    found = growth(folder, plan)
    assert plan.waiting == 2
    assert len(plan.undecided) == 4
    assert found is not None
    assert found.left_out == []


def test_a_dry_run_says_how_a_sweep_grows(folder: SweepFolder) -> None:
    path = write(folder.path.parent, SMALL.replace("[0, 1]", "[0, 1, 2]"))
    done = lipschitz("sweep", path, "--out", folder.path, "--dry-run", cwd=folder.path.parent)
    assert done.returncode == 0
    assert "4 runs of it stay, 2 are new (seeds was [0, 1], is [0, 1, 2])" in done.stdout
    assert "warning" not in done.stdout


def test_ids_are_listed_and_one_of_them_is_chosen(tmp_path: Path) -> None:
    path = write(tmp_path)
    done = lipschitz("sweep", path, "--list", "--only", "seed=1", cwd=tmp_path)
    ids = [run.id for run in load_sweep(path).runs if run.seed == 1]
    assert done.stdout.splitlines() == ids
    one = lipschitz("sweep", path, "--list", "--only", f"id={ids[0]}", cwd=tmp_path)
    assert one.stdout.splitlines() == ids[:1]
    none = lipschitz("sweep", path, "--list", "--only", "id=mine", cwd=tmp_path)
    assert none.stderr == "error: --only: no run has id=mine; there are: see --list\n"


def swept(folder: Path, *options: object) -> Done:
    path = write(folder, TINY)
    return lipschitz(
        "sweep", path, "--limit-steps", 2, "--device", "cpu", "--engine", ENGINE, "--no-report", *options, cwd=folder
    )


@pytest.mark.usefixtures("brief_bracket")
def test_runs_of_another_machine_are_copied_in(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for machine, seed in ((here, 0), (there, 1)):
        machine.mkdir()
        assert swept(machine, "--only", f"seed={seed}").returncode == 0
    results = here / "results" / "small-limit-2"
    runs = there / "results" / "small-limit-2" / "runs"
    shutil.copytree(runs, results / "runs", dirs_exist_ok=True)
    done = swept(here)
    assert (done.returncode, "all runs are finished" in done.stdout) == (0, True)
    assert lipschitz("verify", results, cwd=here).returncode == 0
    # A folder under the name of another run is not that run.
    (copied,) = runs.iterdir()
    shutil.rmtree(results / "runs" / copied.name)
    (own,) = (results / "runs").iterdir()
    shutil.copytree(own, results / "runs" / copied.name)
    assert f"damaged  {copied.name}" in lipschitz("status", results, cwd=here).stdout
