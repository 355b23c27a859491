"""Results are read as DataFrames, from runs and from the tables of a folder alone, and both are equal."""

import math
import shutil
import sys
from collections.abc import Sequence
from multiprocessing.spawn import get_preparation_data
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sweeps import SMALL, write

import lipschitz as lip
from lipschitz.api.results import RUN_COLUMNS
from lipschitz.api.sweep import _script_hidden

ROOT = Path(__file__).parents[2]
ENGINE = Path(__file__).parents[1] / "support" / "in_process_engine.py"
FEW = SMALL.replace("steps: 120", "steps: 8").replace("every: 40", "every: 8").replace("[0, 1]", "[0]")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, brief_brackets: None) -> lip.SweepResults:
    folder = tmp_path_factory.mktemp("swept")
    return lip.sweep(
        write(folder, FEW), out=folder / "out", engine=f"{ENGINE}:Untimed", device="cpu", workers=1, quiet=True
    )


def test_a_sweep_returns_its_results(swept: lip.SweepResults, capsys: pytest.CaptureFixture[str]) -> None:
    assert (swept.source, swept.name, list(swept.runs["status"])) == ("runs", "small", ["finished"] * 2)
    assert list(swept.runs.columns[: len(RUN_COLUMNS)]) == RUN_COLUMNS
    assert (swept.folder / "index.html").exists()
    w1 = swept.summary.query("metric == 'w1' and which == 'last' and constraint == 'none'")
    last = swept.records.query("metric == 'w1' and step == 8 and constraint == 'none'")
    assert w1["mean"].item() == pytest.approx(last["value"].mean())
    assert repr(swept) == (
        f"<results of small from {swept.folder} (runs): 2 runs, {len(swept.records)} records, "
        f"{len(swept.summary)} rows of summary>"
    )
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("without", "source"), [((), "report"), (("runs.json",), "tables")])
def test_a_folder_without_its_runs_gives_the_same(
    swept: lip.SweepResults, tmp_path: Path, without: tuple[str, ...], source: str
) -> None:
    folder = tmp_path / "cited"
    left = shutil.ignore_patterns("runs", "timing", "plots", "lock", *without)
    shutil.copytree(swept.folder, folder, ignore=left)
    found = lip.load(folder)
    assert (found.source, found.warnings) == (source, swept.warnings if source == "report" else ())
    for name in ("records", "summary", *(["outcomes"] if source == "report" else [])):
        assert_frame_equal(getattr(found, name), getattr(swept, name), check_dtype=False, check_exact=True)
    columns = list(swept.runs.columns) if source == "report" else RUN_COLUMNS
    assert_frame_equal(found.runs, swept.runs[columns], check_dtype=False)
    assert list(found.outcomes.columns) == list(swept.outcomes.columns)
    assert (found.definition, found.provenance) == (swept.definition, swept.provenance)
    assert found.provenance["versions"]["lipschitz"] == lip.__version__


@pytest.mark.parametrize("folder", ["quickstart", "optimisers", "transport_equal"])
def test_a_committed_sweep_is_read(folder: str) -> None:
    path = ROOT / "results" / folder
    found = lip.load(path)
    assert found.source in ("report", "tables")
    assert len(found.summary) > 0
    numbers = found.summary[["n", "mean", "ci95", "diverged"]]
    assert all(pd.api.types.is_numeric_dtype(kind) for kind in numbers.dtypes)
    assert any(name.startswith("spectral_normalization") for name in found.summary["constraint"])
    has_records = (path / "records.csv").exists()
    assert (len(found.runs) > 0, len(found.records) > 0) == (has_records, has_records)
    assert has_records or "no records.csv" in found.warnings[0]
    assert set(found.runs.index) <= set(found.definition["runs"])


def written(folder: Path, records: Sequence[str]) -> Path:
    """Write a folder of tables with these rows of run, value and constraint."""
    folder.mkdir()
    shutil.copy(ROOT / "results" / "quickstart" / "sweep.json", folder)
    rows = (f"{run},t,d,m,{constraint},l,C,0,1,0.5,x,{value}" for run, value, constraint in map(str.split, records))
    head = "run,task,dataset,model,constraint,loss,setting,seed,step,seconds,metric,value"
    (folder / "records.csv").write_text("\n".join([head, *rows, "r,t,d,m,none,l,C,0,2,0.5,x,"]) + "\n")
    (folder / "summary.csv").write_text("metric,which,mean\nx,last,1\n")
    return folder


def test_labels_that_look_like_numbers_or_missing_values_stay_text(tmp_path: Path) -> None:
    found = lip.load(written(tmp_path / "a", ["1 0.1 NA", "01 inf null", "2 1e-300 1"]))
    assert list(found.records["constraint"]) == ["NA", "null", "1", "none"]
    assert list(found.records["run"]) == ["1", "01", "2", "r"]
    assert list(found.records["value"])[:3] == [0.1, math.inf, 1e-300]
    assert math.isnan(found.records["value"].iloc[3])


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", [])
    (folder / "records.csv").write_text("run,seconds,w1\nr,1,2\n")
    with pytest.raises(lip.InputError, match=r"records\.csv: it lacks the columns task, .*; `lipschitz report` writes"):
        lip.load(folder)
    (folder / "records.csv").write_bytes(b"\xff\x00,")
    with pytest.raises(lip.InputError, match=r"records\.csv: cannot be read"):
        lip.load(folder)
    (folder / "summary.csv").unlink()
    with pytest.raises(
        lip.InputError, match=r"a: neither runs/, runs\.json nor summary\.csv are here; `lipschitz sweep F"
    ):
        lip.load(folder)
    with pytest.raises(lip.InputError, match=r"no results of a sweep here \(no sweep\.json\)"):
        lip.load(ROOT / "results" / "estimators")


def test_a_sweep_of_a_script_does_not_run_the_script_in_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    # Python runs these in a new process.
    keys = {"init_main_from_path", "init_main_from_name"}
    script = ModuleType("__main__")
    script.__file__ = "/folder/script.py"
    monkeypatch.setitem(sys.modules, "__main__", script)
    assert get_preparation_data("worker").keys() & keys
    with _script_hidden():
        assert not get_preparation_data("worker").keys() & keys
    assert get_preparation_data("worker").keys() & keys


def test_a_wrong_sweep_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(lip.InputError, match="did you mean 'none'"):
        lip.sweep(write(tmp_path, FEW.replace("[none,", "[nine,")), out=tmp_path / "out", quiet=True)
    with pytest.raises(lip.InputError, match="--device tpu"):
        lip.sweep(tmp_path / "small.yaml", device="tpu")
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]
