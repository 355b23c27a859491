"""Write runs.json and outcomes.csv of results folders that an earlier version wrote without them.

    python benchmarks/convert_old_results.py results/NAME ... --data-root DIR
    lipschitz report results/NAME

It reads sweep.json, records.csv and summary.csv, trains nothing, and changes no measured value. Each fact is checked:
the sweep file expands to the ids of the folder's runs, which hash all that defines a run; means and intervals of the
values after the last step are those of summary.csv; a relative difference above TOLERANCE is refused. Values of real
data are measured again from the data and the seeds, as the folder has their means alone. Where the new means are not
those of summary.csv, for example because another reference classifier is trained here, these values are left out. Of a
single seed the old mean is the value, and stays. The protocols are then those of the folder's page.

What the folder does not hold by run is left out: values of the best step, samples, potentials and spectra, rounds of
the timing pass, and what the bounds take for granted. runs.json says so, and every report of it repeats it.
"""

import argparse
import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import t as student

from lipschitz.errors import InputError
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.value_tables import read_values, write_values
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.reported_runs import FILE, ReportedRun, ReportedRuns, write_reported_runs
from lipschitz.sweep.store import SweepFolder
from lipschitz.tasks.wording import floors

TOLERANCE = 1e-6
"""Relative difference of a mean or an interval to that of summary.csv, of which the last digits hang on the order of a
sum; for values that real data measure again."""
TIMED = ("ms_discriminator_step", "ms_generator_step", "peak_memory")
LOST = (
    "converted from the tables of an earlier version, which did not keep by run: values of the best step, samples, "
    "potentials and spectra, rounds and intervals of times, and what the bounds take for granted; these are not shown"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="results folders")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets that are files")
    parser.add_argument(
        "--skip-real-data", action="store_true", help="do not measure real data again; values of several seeds are lost"
    )
    options = parser.parse_args()
    set_up_torch()
    for folder in options.folders:
        try:
            print(f"{folder}: {converted(folder, options.data_root, not options.skip_real_data)}", flush=True)
        except (InputError, FileNotFoundError, KeyError) as error:
            print(f"{folder}: unchanged: {error}", flush=True)


def converted(folder: Path, data_root: Path | None, measures_real_data: bool = True) -> str:
    """Write ``runs.json``, ``outcomes.csv`` and ``records.csv`` in its present form; return what was checked.

    Raises:
        InputError: the folder has runs or ``runs.json`` already, or does not agree with itself.
        FileNotFoundError: a table is not there.
    """
    sweep = SweepFolder.open(folder)
    if sweep.has_runs() or (folder / FILE).exists():
        raise InputError("it has its runs, or runs.json")
    records = read_values(folder / "records.csv", "seconds")
    summary = pd.read_csv(folder / "summary.csv", keep_default_na=False, na_values={"mean": [""], "ci95": [""]})
    runs = expanded(sweep)
    steps = records.groupby("run")["step"].max()
    _refuse("runs", {run.id for run in runs} ^ set(steps.index) ^ (set(sweep.run_ids()) - {run.id for run in runs}))
    _refuse("steps", [run.id for run in runs if run.training.steps != steps[run.id]])
    _refuse("diverged runs", set(summary.loc[summary["diverged"].isin([str(n) for n in range(1, 99)]), "constraint"]))
    # A report adds to the labels of a run what tells it from others.
    labels = records.drop_duplicates("run").set_index("run")[[*LABELS, "seed"]]
    _refuse("seeds", [run.id for run in runs if run.seed != labels["seed"][run.id]])
    last = records[records["step"] == records["run"].map(steps)]
    compare(last, LABELS, summary)
    known_floors = summary[summary["constraint"].isin(floors())]
    facts = facts_by_run(runs, folder, data_root) if measures_real_data else without_values(runs, known_floors)
    real, differing = agreeing_floors(facts, labels, known_floors)
    if differing:
        known = protocols_of_page(folder / "index.html")
        for run in runs:
            facts[run.id] = {**facts[run.id], "protocols": known.get(run.dataset.label(), {})}
    outcomes = pd.concat([last.assign(which="last"), real])[["run", "which", "metric", "value"]]
    order = {run_id: place for place, run_id in enumerate(sweep.run_ids())}
    outcomes = outcomes.sort_values("run", key=lambda ids: ids.map(order), kind="stable")
    terms = {run.id: {"steps": int(steps[run.id]), "batch_size": run.training.batch_size} for run in runs}
    described = labels.join(pd.DataFrame(terms).T)
    write_values(folder / "records.csv", records[["run", "step", "seconds", "metric", "value"]], labels)
    write_values(folder / "outcomes.csv", outcomes, described)
    reported = ReportedRuns(
        {run.id: _reported(run, int(steps[run.id]), facts[run.id]) for run in runs},
        timings(runs, labels, summary, str(sweep.provenance().get("device", ""))),
        warnings=[LOST, *differing, *_mixed_origins(folder)],
    )
    write_reported_runs(folder, reported, ["records.csv", "outcomes.csv"])
    said = f"{len(runs)} runs, {len(last)} values after the last step agree"
    return f"{said}, {len(differing)} means of real data do not"


def expanded(sweep: SweepFolder) -> list[Run]:
    """Return the runs of a folder in the order of its plan, from the sweep file's content that it holds."""
    definition = sweep.definition()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "sweep.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(definition["sweep"]))
        by_id = {run.id: run for run in load_sweep(path).runs}
    _refuse("runs that the sweep file does not expand to", set(sweep.run_ids()) - by_id.keys())
    return [by_id[run_id] for run_id in sweep.run_ids()]


def facts_by_run(runs: list[Run], folder: Path, data_root: Path | None) -> dict[str, dict[str, Any]]:
    """Return by id what the task of a run measures of real data, by its seed, and the protocols of its metrics."""
    kinds = {(run.dataset, run.evaluation, run.seed): run for run in runs}
    site = Site(("cpu",), data_root)
    facts = {key: Job(run, folder, site, "cpu", {}).build().facts() for key, run in kinds.items()}
    return {run.id: facts[run.dataset, run.evaluation, run.seed] for run in runs}


def without_values(runs: list[Run], summary: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return by id the metrics of real data in ``summary``, without a value."""
    metrics = {dataset: rows["metric"].unique() for dataset, rows in summary.groupby("dataset")}
    return {run.id: {"floor": dict.fromkeys(metrics[run.dataset.label()], math.nan)} for run in runs}


def agreeing_floors(
    facts: Mapping[str, Mapping[str, Any]], labels: pd.DataFrame, summary: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Return the values of real data by run, as outcomes, and a line for each mean that is not that of ``summary``."""
    rows = [
        {"run": run_id, "which": "floor", "metric": name, "value": value}
        for run_id, of_run in facts.items()
        for name, value in of_run["floor"].items()
    ]
    real, differing = pd.DataFrame(rows), []
    by_seed = real.join(labels, on="run").drop_duplicates(["dataset", "metric", "seed"])
    for (dataset, metric), group in by_seed.groupby(["dataset", "metric"], sort=False):
        expected = summary[(summary["dataset"] == dataset) & (summary["metric"] == metric)]
        try:
            if group["value"].isna().all():
                raise InputError("not measured")
            compare(group, ["task", "dataset"], expected)
        except InputError:
            row = expected.iloc[0]
            known = f"{row['mean']:.4g}" + (f" ± {row['ci95']:.2g}, n = {row['n']}" if row["n"] > 1 else "")
            shown = "" if row["n"] == 1 else "it was not kept by seed, and is not shown; "
            differing.append(
                f"{dataset}: {metric} of real data was {known}, by a judge that is not made again here; {shown}"
                "its protocol is that of the earlier page"
            )
            of_metric = real["run"].map(labels["dataset"]).eq(dataset) & real["metric"].eq(metric)
            real.loc[of_metric, "value"] = row["mean"] if row["n"] == 1 else math.nan
    return real, differing


def protocols_of_page(page: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return by data set and metric the facts in the table of protocols of an earlier report's page."""
    _, _, text = page.read_text(encoding="utf-8").partition('id="protocols"')
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in re.findall(r"<tr>(.*?)</tr>", text.partition("</table>")[0], flags=re.DOTALL):
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row, flags=re.DOTALL)
        if len(cells) != 3:
            continue
        dataset, metrics, facts = (unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in cells)
        parts = [part.partition(": ") for part in re.split(r", (?=[a-z_ ]+: )", facts)]
        for metric in metrics.split(", "):
            found.setdefault(dataset, {})[metric] = {key: _value(value) for key, _, value in parts}
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def compare(values: pd.DataFrame, keys: list[str], summary: pd.DataFrame) -> None:
    """Check that the means of ``values`` over seeds, with n and 95 % interval, are those of ``summary``.

    Raises:
        InputError: one is not.
    """
    rows = summary[summary["which"] == "last"].drop_duplicates([*keys, "metric"])
    known = {tuple(row[key] for key in [*keys, "metric"]): row for row in rows.to_dict("records")}
    finite = values[values["value"].notna()]
    for key, group in finite.groupby([*keys, "metric"], sort=False)["value"]:
        row, n = known[key], len(group)
        half = student.ppf(0.975, n - 1) * group.std() / math.sqrt(n) if n > 1 else math.nan
        scale = max(abs(group.mean()), 1e-12)
        for what, found, expected in (("mean", group.mean(), row["mean"]), ("ci95", half, row["ci95"])):
            both_missing = not (math.isfinite(found) or math.isfinite(expected))
            if not both_missing and not abs(found - expected) <= TOLERANCE * scale:
                raise InputError(f"{', '.join(key)}: {what} {found!r}; that of summary.csv is {expected!r}")
        if n != row["n"]:
            raise InputError(f"{', '.join(key)}: {n} values; summary.csv has {row['n']}")


def timings(runs: list[Run], labels: pd.DataFrame, summary: pd.DataFrame, device: str) -> dict[str, dict[str, Any]]:
    """Return by configuration the median times that ``summary`` has; ``labels`` are those of each run there."""
    medians = {
        (*(row[label] for label in LABELS), row["metric"]): float(row["mean"])
        for row in summary[summary["metric"].isin(TIMED)].to_dict("records")
    }
    found = {}
    for run in runs:
        own = tuple(labels.loc[run.id, LABELS])
        timing: dict[str, Any] = {"device": device.partition(";")[0], "n_dis": run.setting.n_dis}
        timing |= {name: {"median": medians[(*own, name)]} for name in TIMED[:2] if (*own, name) in medians}
        timing |= {name: medians[(*own, name)] for name in TIMED[2:] if (*own, name) in medians}
        if TIMED[0] in timing:
            found[run.configuration] = timing
    return found


def _reported(run: Run, steps: int, facts: Mapping[str, Any]) -> ReportedRun:
    result = {"status": "finished", "step": steps, "protocols": facts["protocols"]}
    return ReportedRun.of(run.definition(steps), result, "finished")


def _mixed_origins(folder: Path) -> Iterator[str]:
    """Yield the warning of the folder's earlier report about runs of different code, which it has by run no longer."""
    for line in (folder / "table.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("Warning: one table holds runs of different code"):
            yield line.removeprefix("Warning: ").rstrip(".")


def _refuse(what: str, found: Any) -> None:
    if found:
        raise InputError(f"{len(found)} {what} do not agree, such as {sorted(found)[0]}")


if __name__ == "__main__":
    main()
