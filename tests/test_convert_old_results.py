"""Folders that were written without runs.json are converted where they agree with themselves, and then reported."""

import importlib.util
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import lipschitz as lip
from lipschitz.errors import InputError
from lipschitz.report.write import report
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.store import SweepFolder
from lipschitz.training.loop import Trainer

SWEEP = """
name: tiny
task: generation
datasets: [eight_gaussians]
models: [{mlp: {width: 4, depth: 1}}]
constraints: [none]
seeds: [0, 1]
training: {steps: 4}
evaluation: {every: 2, samples: 16, gradient_samples: 4}
"""
OLD = ["run", "task", "dataset", "model", "constraint", "loss", "setting", "seed", "step", "seconds", "metric", "value"]


@pytest.fixture(scope="module")
def script() -> Any:
    path = Path(__file__).parents[1] / "benchmarks" / "convert_old_results.py"
    spec = importlib.util.spec_from_file_location("convert_old_results", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reported sweep of two seeds, with its runs."""
    place = tmp_path_factory.mktemp("trained")
    (place / "tiny.yaml").write_text(SWEEP)
    sweep = load_sweep(place / "tiny.yaml", out=place / "out")
    folder = SweepFolder(place / "out")
    folder.path.mkdir()
    folder.define(sweep.definition())
    for run in sweep.runs:
        job = Job(run, folder.path, Site(("cpu",)), "cpu", {})
        with job.folder.writing():
            job.folder.define(run.definition(4))
            assert list(Trainer(job.build(), job.folder, steps=4, every=2).run())
    part = {"median": 2.0, "low": 1.9, "high": 2.1, "n": 9}
    timing = {"device": "cpu", "n_dis": 1, "ms_discriminator_step": part, "ms_generator_step": part}
    folder.write_timing(sweep.runs[0].configuration, timing)
    report(folder.path, limit_panels=0)
    return folder.path


@pytest.fixture
def old(trained: Path, tmp_path: Path) -> Path:
    """The same folder as an early version left it: arithmetic means, a row for each value, and no runs."""
    found = lip.load(trained)
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copy(trained / "sweep.json", folder)
    (folder / "provenance.json").write_text(json.dumps({"commit": "old", "device": "cpu: old; 2 workers"}))
    (folder / "table.md").write_text("# tiny\n\nWarning: one table holds runs of different code: a; b.\n")
    (folder / "index.html").write_text(
        '<h2 id="protocols">Protocols</h2><table><tr><td>eight_gaussians</td><td>w1, modes</td>'
        "<td>n_fake: 16, judge: exact, on points</td></tr></table>"
    )
    found.records[OLD].to_csv(folder / "records.csv", index=False)
    keys = [*OLD[1:7], "metric", "which"]
    values = found.outcomes[found.outcomes["which"] != "best"].copy()
    values.loc[values["which"] == "floor", "constraint"] = "real data"
    values["which"] = "last"
    means = values.groupby(keys, sort=False)["value"].agg(["count", "mean", "std"]).reset_index()
    # Student's t of one degree of freedom.
    means["ci95"] = 12.706204736174694 * means["std"] / math.sqrt(2)
    times = means.iloc[:1].assign(metric="ms_discriminator_step", count=1, mean=2.0, ci95=None)
    summary = pd.concat([means, times]).rename(columns={"count": "n"}).assign(diverged=0)
    summary[[*keys, "n", "mean", "ci95", "diverged"]].to_csv(folder / "summary.csv", index=False)
    return folder


def test_the_last_values_real_data_and_times_are_those_of_the_runs(script: Any, old: Path, trained: Path) -> None:
    assert script.converted(old, None).endswith("agree, 0 means of real data do not")
    report(old, limit_panels=0)
    there, here = lip.load(trained), lip.load(old)
    assert here.source == "report"
    expected = there.outcomes[there.outcomes["which"] != "best"].reset_index(drop=True)
    pd.testing.assert_frame_equal(here.outcomes, expected, check_dtype=False)
    pd.testing.assert_frame_equal(here.records, there.records, check_dtype=False)
    keys = ["constraint", "metric", "which"]
    both = [one.summary.query("which == 'last'").set_index(keys)["mean"] for one in (there, here)]
    pd.testing.assert_series_equal(
        both[1].drop("ms_generator_step", level="metric", errors="ignore"),
        both[0].drop("ms_generator_step", level="metric"),
    )
    text = (old / "table.md").read_text()
    assert "which did not keep by run: values of the best step" in text
    assert "one table holds runs of different code: a; b" in text
    assert ": best" not in text
    report(old, limit_panels=0)
    assert (old / "table.md").read_text() == text


def test_values_of_real_data_by_another_judge_are_left_out(script: Any, old: Path) -> None:
    summary = pd.read_csv(old / "summary.csv")
    summary.loc[(summary["constraint"] == "real data") & (summary["metric"] == "w1"), "mean"] *= 1.01
    summary.to_csv(old / "summary.csv", index=False)
    assert script.converted(old, None).endswith("agree, 1 means of real data do not")
    found = lip.load(old)
    real = found.outcomes.query("which == 'floor'").set_index("metric")["value"]
    assert real["w1"].isna().all()
    assert real["modes"].notna().all()
    assert any("w1 of real data was" in line and "n = 2" in line for line in found.warnings)
    runs = json.loads((old / "runs.json").read_text())
    assert {"n_fake": 16, "judge": "exact, on points"} in [shared.get("w1") for shared in runs["shared"] if shared]


def test_a_folder_that_does_not_agree_with_itself_is_refused(script: Any, old: Path) -> None:
    rows = (old / "records.csv").read_text().splitlines()
    place = max(place for place, row in enumerate(rows) if ",w1," in row)
    rows[place] = rows[place].rpartition(",")[0] + ",0.5"
    (old / "records.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(InputError, match=r"w1: mean .*; that of summary.csv is"):
        script.converted(old, None)
    assert not (old / "runs.json").exists()


def test_other_runs_than_those_of_the_sweep_file_are_refused(script: Any, old: Path) -> None:
    definition = json.loads((old / "sweep.json").read_text())
    definition["sweep"]["training"]["steps"] = 5
    del definition["checksum"]
    (old / "sweep.json").write_text(json.dumps(definition))
    with pytest.raises(InputError, match="runs that the sweep file does not expand to do not agree"):
        script.converted(old, None)
