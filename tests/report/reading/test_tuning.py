"""Settings selected by results: each method has its own, and all methods are compared with each other."""

import json
from pathlib import Path

import pandas as pd
import pytest
from synthetic import Plan, dump, write_sweep

from lipschitz.report.reading.comparisons import comparisons
from lipschitz.report.reading.results import load
from lipschitz.report.write import report

PICKED = {"none": "A", "weight_clipping": "C"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runs, chosen = [], []
    for constraint, setting in PICKED.items():
        plan = Plan(("digits",), (constraint,), settings=(setting,), evaluations=1, pictures=False)
        runs += json.loads((write_sweep(tmp_path, plan) / "sweep.json").read_text())["runs"]
        group = {"dataset": "digits", "constraint": constraint}
        chosen.append({"group": group, "setting": setting, "metric": "w1", "value": 1.0, "seeds": [100], "runs": []})
    dump(tmp_path / "sweep.json", {"name": "tuned", "task": "generation", "runs": runs, "chosen": chosen})
    return tmp_path


def test_methods_with_different_selected_settings_are_one_comparison(folder: Path) -> None:
    sweep = load(folder)
    (found,) = comparisons(sweep.runs)
    assert found.setting == "chosen"
    assert dict(sweep.runs[["constraint", "picked"]].itertuples(index=False, name=None)) == PICKED


def test_tables_and_files_show_the_selected_setting(folder: Path) -> None:
    report(folder)
    text = (folder / "table.md").read_text()
    (head,) = (line for line in text.splitlines() if line.startswith("## Overview"))
    assert "setting chosen" in head
    assert "| Constraint | Chosen setting | n |" in text
    assert "| weight_clipping | C | 3 |" in text
    for name in ("summary.csv", "records.csv"):
        rows = pd.read_csv(folder / name).query("constraint != 'real data'")
        assert set(rows["setting"]) == {"chosen"}
        assert dict(rows[["constraint", "picked"]].itertuples(index=False, name=None)) == PICKED


def test_another_precision_is_another_comparison(folder: Path) -> None:
    definition = json.loads((folder / "sweep.json").read_text())
    definition["chosen"][1]["setting"] = "C [bf16]"
    dump(folder / "sweep.json", definition)
    for path in folder.glob("runs/*clipping*/run.json"):
        run = json.loads(path.read_text())
        run["labels"]["setting"] = "C [bf16]"
        dump(path, run)
    assert [one.setting for one in comparisons(load(folder).runs)] == ["chosen", "chosen [bf16]"]


def test_runs_with_another_setting_are_another_comparison(folder: Path) -> None:
    definition = json.loads((folder / "sweep.json").read_text())
    definition["chosen"][1]["setting"] = "B"
    dump(folder / "sweep.json", definition)
    sweep = load(folder)
    assert [one.setting for one in comparisons(sweep.runs)] == ["chosen", "C"]
