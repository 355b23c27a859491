"""The environments of tox: the oldest versions that are declared, and the simulated device."""

import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SIMULATED = ROOT / ".ci" / "simulated"


def test_the_floor_is_the_oldest_versions_that_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    (tested,) = (line for line in extras["test"] if line.startswith("lipschitz["))
    further = [line for name in tested[len("lipschitz[") : -1].split(",") for line in extras[name]]
    declared = {*project["dependencies"], *extras["test"], *further} - {tested}
    floor = (ROOT / "constraints-floor.txt").read_text().splitlines()
    assert floor == sorted(line.replace(">=", "==") for line in declared)


@pytest.fixture
def simulated(tmp_path: Path) -> Callable[..., str]:
    """Call `.ci/simulated`, and return what it prints; the simulated device prints how it is called."""
    run = tmp_path / "run"
    run.write_text('#!/usr/bin/env bash\necho "$PYTEST_ADDOPTS| $@"\necho "$PYTHONPATH"\n')
    run.chmod(0o755)

    def call(*arguments: str, folder: str = str(tmp_path)) -> str:
        given = {**os.environ, "LIPSCHITZ_SIMULATED_DEVICE": folder, "PYTEST_ADDOPTS": ""}
        return subprocess.run(
            [SIMULATED, *arguments], env=given, capture_output=True, encoding="utf-8", check=True
        ).stdout

    return call


def test_tests_on_a_simulated_device_run_where_there_is_one(simulated: Callable[..., str]) -> None:
    options = "-p emulated_device --assert=plain -p no:cacheprovider -m gpu -n 0"
    assert simulated("tests/tasks") == f"| pytest {options} tests/tasks\n{ROOT}\n"
    missing = "skipped: LIPSCHITZ_SIMULATED_DEVICE does not name the folder of a simulated device\n"
    assert simulated("tests/tasks", folder="") == missing


def test_a_script_and_its_tests_run_on_a_simulated_device(simulated: Callable[..., str]) -> None:
    """Each of its processes imports the module that computes what kernels would."""
    found = simulated("--script", "benchmarks/day_one.py", "--small")
    path = f"{ROOT / '.ci' / 'emulate'}:{ROOT}"
    assert found == f"-p emulated_device --assert=plain| python benchmarks/day_one.py --small\n{path}\n"
    assert "\n    emulate.install()\n" in (ROOT / ".ci" / "emulate" / "sitecustomize.py").read_text()
