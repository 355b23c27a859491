"""The environments of tox: the oldest versions that are declared, and the simulated device."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SIMULATED = ROOT / ".ci" / "simulated"


def test_the_floor_is_the_oldest_versions_that_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = {*project["dependencies"], *extras["test"], *extras["lsun"], *extras["safetensors"]}
    declared.remove("lipschitz[lsun,safetensors]")
    floor = (ROOT / "constraints-floor.txt").read_text().splitlines()
    assert floor == sorted(line.replace(">=", "==") for line in declared)


@pytest.mark.parametrize("is_there", [False, True])
def test_tests_on_a_simulated_device_run_where_there_is_one(tmp_path: Path, is_there: bool) -> None:
    run = tmp_path / "run"
    run.write_text('#!/usr/bin/env bash\necho "$@"\n')
    run.chmod(0o755)
    folder = str(tmp_path) if is_there else ""
    done = subprocess.run(
        [SIMULATED, "tests/tasks"],
        env={**os.environ, "LIPSCHITZ_SIMULATED_DEVICE": folder},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == (
        "pytest -p emulated_device -p no:cacheprovider --assert=plain -m gpu -n 0 tests/tasks\n"
        if is_there
        else "skipped: LIPSCHITZ_SIMULATED_DEVICE does not name the folder of a simulated device\n"
    )
