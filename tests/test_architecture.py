"""Packages import in one direction only. Reading results does not import torch; training does not import pandas."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_import_contracts_hold() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module", ["lipschitz.cli", "lipschitz.sweep.store", "lipschitz.sweep.run_folder", "lipschitz.report.write"]
)
def test_commands_that_read_results_do_not_import_torch(module: str) -> None:
    assert python(f"import sys, {module}; print('torch' in sys.modules)").strip() == "False"


@pytest.mark.parametrize(
    "module", ["lipschitz.sweep.engine.worker", "lipschitz.sweep.engine.local", "lipschitz.commands.list"]
)
def test_training_does_not_import_pandas_or_matplotlib(module: str) -> None:
    assert python(f"import sys, {module}; print({{'pandas', 'matplotlib'}} & set(sys.modules))").strip() == "set()"
