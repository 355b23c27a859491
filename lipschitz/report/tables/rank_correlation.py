"""Table of how well each spectral measure of a classifier predicts its generalisation gap: rank correlations."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lipschitz.report.number_format import MISSING, show
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.intervals import BOOTSTRAP
from lipschitz.report.statistics.rank_correlation import Correlation, rank_correlation
from lipschitz.report.statistics.significance import LEVEL, holm
from lipschitz.report.tables.table import Cell, Column

_GAPS = {"accuracy_gap": "Gap of accuracy", "loss_gap": "Gap of the loss"}
_MARGIN = "margin_over_lipschitz_train/0.5"
_RECORDED = {
    "sigma_product/reshaped": "Product of reshaped σ",
    "sigma_product/operator": "Product of operator σ",
    "lipschitz_lower": "Lip(D), lower bound",
    "lipschitz_upper": "Lip(D), upper bound",
    "lipschitz_upper_product": "Lip(D), upper bound by layers",
    "gradient_norm/real": "Mean input-gradient norm",
    "spectral_complexity/reshaped": "Spectral complexity, reshaped σ",
    "spectral_complexity/operator": "Spectral complexity, operator σ",
}
CORRELATIONS = (
    "Spearman's ρ after the last step, over runs of all methods of this data set and model; positive: a larger measure "
    "goes with a larger gap, as bounds on generalisation say (Jiang et al. 2020, arXiv:1912.02178, often found the "
    f"opposite). Seeds of one method are alike: the {BOOTSTRAP.name} is of methods, then of seeds, and p a "
    "permutation test of whole methods, by Holm's correction for all tests of the table. Bold: below 0.05. "
    "Products of σ and complexities are of layers with batch normalization folded into them. Over the margin: divided "
    "by the median margin of training images, infinite where that is not positive. Input gradients are at test images, "
    "and the search for the lower bound starts there; their labels are not used."
)


def correlation_columns(results: Results, group: pd.DataFrame) -> tuple[list[Column], list[list[Cell]]]:
    """Return the columns and a row a measure for all finished runs of the configurations in ``group``; no rows if few.

    Few are fewer than three configurations.
    """
    columns = [Column("Measure", numeric=False), Column("n"), Column("Methods")]
    columns += [Column(head, gap) for gap in _GAPS.values() for head in ("ρ", BOOTSTRAP.short, "p")]
    values = _of_runs(results, group)
    if values.empty or values["configuration"].nunique() < 3:
        return columns, []
    groups = pd.factorize(values["configuration"])[0].astype(np.int64)
    gaps = [values[gap].to_numpy(float) for gap in _GAPS]
    measures = {name: numbers.to_numpy(float) for name, numbers in _measures(values).items() if numbers.nunique() > 1}
    found = [[rank_correlation(measure, gap, groups) for gap in gaps] for measure in measures.values()]
    corrected = _corrected([one.p for row in found for one in row])
    cells = []
    for place, (name, row) in enumerate(zip(measures, found, strict=True)):
        line = [Cell(name), Cell(str(row[0].n)), Cell(str(row[0].methods))]
        for one, p in zip(row, corrected[len(_GAPS) * place :], strict=False):
            line += _cells(one, p)
        cells.append(line)
    return columns, cells


def _of_runs(results: Results, group: pd.DataFrame) -> pd.DataFrame:
    """Return all values after the last step, a column a metric, and the configuration of each finished run."""
    runs = results.runs[results.runs["status"] == "finished"].reset_index()
    runs = runs.merge(group[LABELS], on=LABELS)[["run", "configuration"]]
    last = results.outcomes[(results.outcomes["which"] == "last") & results.outcomes["run"].isin(runs["run"])]
    table = last.pivot(index="run", columns="metric", values="value")
    if not set(_GAPS) <= set(table):
        return pd.DataFrame()
    return runs.join(table, on="run")


def _measures(values: pd.DataFrame) -> Mapping[str, pd.Series]:
    """Return by name the measures of each run; larger ones promise a larger gap."""
    found = {name: values[metric] for metric, name in _RECORDED.items() if metric in values}
    if _MARGIN in values and "lipschitz_upper" in values:
        margin = values[_MARGIN].where(values[_MARGIN] > 0, 0.0)
        with np.errstate(divide="ignore"):
            found["Lip(D), upper bound over the margin"] = 1 / margin
            finite = margin * values["lipschitz_upper"]
            if (metric := "spectral_complexity/operator") in values:
                found[f"{_RECORDED[metric]}, over the margin"] = values[metric] / finite
    return found


def _corrected(p_values: list[float]) -> list[float]:
    defined = np.flatnonzero(~np.isnan(p_values))
    corrected = np.full(len(p_values), np.nan)
    corrected[defined] = holm(np.array(p_values)[defined])
    return [float(p) for p in corrected]


def _cells(one: Correlation, p: float) -> list[Cell]:
    interval = MISSING if np.isnan(one.low) else f"{one.low:.2f} to {one.high:.2f}"
    rho = MISSING if np.isnan(one.rho) else f"{one.rho:.2f}"
    return [Cell(rho, p < LEVEL), Cell(interval), Cell(show(p, 2))]
