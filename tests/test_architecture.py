"""Packages import in one direction only. Reading results does not import torch; training does not import pandas."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_import_contracts_hold() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def imported_with(modules: Sequence[str], watched: set[str]) -> dict[str, list[str]]:
    """Import ``modules`` in turn in a new process; return by module which of ``watched`` are then imported."""
    code = (
        f"import importlib, json, sys\nfound = {{}}\nfor module in {list(modules)}:\n    importlib.import_module(module)\n"
        f"    found[module] = sorted({watched} & set(sys.modules))\nprint(json.dumps(found))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_commands_that_read_results_do_not_import_torch() -> None:
    modules = ["lipschitz.cli", "lipschitz.sweep.store", "lipschitz.sweep.run_folder", "lipschitz.report.write"]
    assert imported_with(modules, {"torch"}) == {module: [] for module in modules}


def test_training_does_not_import_pandas_or_matplotlib() -> None:
    modules = ["lipschitz.sweep.engine.worker", "lipschitz.sweep.engine.local", "lipschitz.commands.list"]
    assert imported_with(modules, {"pandas", "matplotlib"}) == {module: [] for module in modules}
