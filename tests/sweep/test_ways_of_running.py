"""One sweep, whoever runs it, where and how: the records of its runs are the same, bit for bit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import lipschitz
from sweeps import write

from lipschitz.sweep.joining.ray_tasks import run_tasks
from lipschitz.sweep.run_folder import RunFolder

SWEEP = """\
    name: same
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 4, depth: 1}}]
    constraints: [spectral_normalization, gradient_penalty]
    seeds: [0]
    training: {steps: 40, batch_size: 4}
    evaluation: {every: 20, samples: 16, gradient_samples: 4}
"""
ROOT = Path(__file__).parents[2]
ENGINE = f"{ROOT / 'tests' / 'support' / 'in_process_engine.py'}:Untimed"

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def results(folder: Path) -> dict[str, Any]:
    """Return what was recorded of each run, without what a clock says: records, result and arrays."""
    found = {}
    for path in sorted((folder / "runs").iterdir()):
        run = RunFolder(path)
        assert run.status() == "finished"
        result, samples = run.result(), run.samples()
        assert result
        assert samples
        records = [(record["step"], record["metric"], record["value"]) for record in run.records()]
        arrays = {name: array.tobytes() for name, array in samples.items()}
        found[path.name] = ({**result, "seconds": None}, records, arrays)
    assert len(found) == 2
    return found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("ways"), SWEEP, "same.yaml")


@pytest.fixture(scope="module")
def expected(file: Path, brief_brackets: None) -> dict[str, Any]:
    """What a local sweep with one worker records."""
    done = lipschitz("sweep", file, "--workers", 1, "--no-report", "--out", file.parent / "one", cwd=file.parent)
    assert done.returncode == 0, done.stderr
    return results(file.parent / "one")


@pytest.fixture
def out(file: Path, expected: dict[str, Any], tmp_path: Path) -> Path:
    """A folder in another place, whose name needs quotes, with the timings of the first sweep: nothing is timed."""
    folder = tmp_path / "another folder, née «b»"
    shutil.copytree(file.parent / "one" / "timing", folder / "timing")
    return folder


def sweep(file: Path, out: Path, *options: object) -> None:
    done = lipschitz("sweep", file, "--no-report", "--out", out, *options, cwd=file.parent)
    assert done.returncode == 0, done.stderr


def test_two_workers(file: Path, out: Path, expected: dict[str, Any]) -> None:
    sweep(file, out, "--workers", 2)
    assert results(out) == expected


@pytest.mark.parametrize("options", [(), ("--join",)], ids=["alone", "joined"])
def test_an_engine_in_this_process(file: Path, out: Path, expected: dict[str, Any], options: tuple[str, ...]) -> None:
    sweep(file, out, "--engine", ENGINE, "--workers", 1, *options)
    assert results(out) == expected


def test_two_processes_that_joined(file: Path, out: Path, expected: dict[str, Any]) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sweep(file, out, "--engine", ENGINE, "--workers", 1, "--join")
            code = 0
        finally:
            os._exit(code)
    sweep(file, out, "--engine", ENGINE, "--workers", 1, "--join")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert results(out) == expected


BRIEFLY = f"""\
import pytest, sys
sys.path.append({str(ROOT / "tests" / "support")!r})
from brief_search import search_briefly
search_briefly(pytest.MonkeyPatch())
from lipschitz.cli import main
main()
"""
"""The command line in a process of its own, which searches as briefly for bounds as this one."""


def command(file: Path, out: Path) -> list[str]:
    options = ("--join", "--engine", ENGINE, "--workers", "1", "--no-report", "--out", str(out))
    return [sys.executable, "-c", BRIEFLY, "sweep", str(file), *options]


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1", "PYTHONUTF8": "0"},
        {"LC_ALL": "C.UTF-8", "TZ": "America/St_Johns", "PYTHONHASHSEED": "4242"},
    ],
    ids=["C", "UTF-8"],
)
def test_another_locale_time_zone_and_hash_seed(
    file: Path, out: Path, expected: dict[str, Any], environment: dict[str, str]
) -> None:
    paths = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command(file, out), env={**os.environ, **paths, **environment}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert results(out) == expected


def test_jobs_of_slurm_as_processes_of_this_machine(
    file: Path, out: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submitted, pickled and started as jobs of SLURM are, by submitit's executor for this machine."""
    submitit = pytest.importorskip("submitit", reason="needs the extra slurm")
    jobs: list[Any] = []

    class Here(submitit.LocalExecutor):  # type: ignore[misc]
        def update_parameters(self, **parameters: Any) -> None:
            super().update_parameters(timeout_min=parameters["time"])

        def submit(self, *arguments: Any) -> Any:
            jobs.append(super().submit(*arguments))
            return jobs[-1]

    monkeypatch.setattr(submitit, "SlurmExecutor", Here)
    monkeypatch.setattr("lipschitz.commands.joiners._command", lambda _: command(file, out))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    sweep(file, out, "--slurm", "time=5", "--jobs", 2)
    assert [job.result() for job in jobs] == [None, None]
    assert results(out) == expected


@pytest.fixture
def address() -> Iterator[str]:
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield context.address_info["address"]
    ray.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_tasks_of_ray(
    file: Path, out: Path, expected: dict[str, Any], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    # This process is the cluster's driver already.
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert run_tasks(command(file, out), address, 2, print) == []
    assert results(out) == expected
