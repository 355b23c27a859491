"""Plot the final bracket around the Lipschitz constant of each discriminator: lower and upper bound, exact value."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lipschitz.report.number_format import show
from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.lines import figure_title
from lipschitz.report.plots.look import paper_width, points, text_width
from lipschitz.report.plots.panels import log_tick, panels
from lipschitz.report.plots.rows import Rows
from lipschitz.report.style import GREY, INK, Style

_BOUNDS = ("lipschitz_lower", "lipschitz_upper", "lipschitz_exact", "lipschitz_upper_product")
_APART = 1.02
"""Least ratio of the product of layers to the upper bound where it is drawn."""
VACUOUS = 1e6
"""Ratio of upper to lower bound above which the upper one is off the axis: it says nothing, and squeezes the others."""
_ROW = 0.2
"""Inches between two methods."""


def bracket_table(data: ComparisonData) -> pd.DataFrame:
    """Return the bounds after the last step, geometric means over seeds: constraint and `_BOUNDS`."""
    return final_bounds(data).rename_axis("constraint").reset_index()


@plot("Bracket around the Lipschitz constant, at the end", order=60, headline=True, table=bracket_table)
def brackets(data: ComparisonData) -> Figure | None:
    """Return one bar a constraint after the last step: from the lower to the upper bound, geometric means over seeds.

    Where there is no upper bound, or a vacuous one, the bar ends in an arrow at the edge of the axes. A dot is the
    exact constant, and a thin mark beyond the bar the product bound of single layers, where it is larger than the
    upper bound.
    """
    bounds = final_bounds(data)
    if bounds.empty:
        return None
    names = [name for name in data.constraints if name in bounds.index]
    ratios = bounds["lipschitz_upper"] / bounds["lipschitz_lower"].where(bounds["lipschitz_lower"] > 0)
    bounds = without_vacuous(bounds)
    products = _products(bounds)
    layers = "" if products.notna().any() else " from layer bounds"
    subtitle = (
        "Bar: bracket of Lip(D), eval mode. Filled: lower bound, steepest pair of points found.\n"
        f"Open: certified upper bound{layers}; arrow: none was found, or one over 10⁶ times the lower.\n"
        f"Last step, {data.mean_over_seeds('geometric mean')}. Right: upper over lower bound."
    )
    further = [
        *(["Black dot: exact constant."] if bounds["lipschitz_exact"].notna().any() else []),
        *([] if layers else ["Thin mark: product bound of single layers."]),
    ]
    subtitle = "\n".join(filter(None, [subtitle, " ".join(further)]))
    rows = Rows.of([data.labels[name] for name in names], _ROW)
    figure, (axes,) = panels(
        1,
        1,
        figure_title("Bracket around Lip(D)", data),
        subtitle,
        size=(4.6, rows.tall()),
        left=rows.margin,
        right=0.3 + text_width("× 3.5e+17", points(8)),
        height="rows",
    )
    set_log_limits(axes, bounds)
    for place, name in zip(rows.places, names, strict=True):
        lower, upper, exact, _ = (float(value) for value in bounds.loc[name].to_numpy(float))
        _bar(axes, place, lower, upper, data.styles[name])
        _ratio(axes, place, float(ratios[name]))
        _further(axes, place, upper, exact, float(products[name]), data.styles[name])
    axes.axvline(1.0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    rows.label(axes)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("Lipschitz constant of D")
    return figure


def final_bounds(data: ComparisonData) -> pd.DataFrame:
    """Return `_BOUNDS` by constraint, geometric means over finished seeds, where there is a lower bound."""
    finished = data.runs.index[data.runs["status"] == "finished"]
    last = data.results.outcomes
    last = last[(last["which"] == "last") & last["metric"].isin(_BOUNDS) & last["run"].isin(finished)]
    with np.errstate(divide="ignore"):
        logs = last.assign(value=np.log(last["value"]), constraint=last["run"].map(data.runs["constraint"]))
    table = logs.pivot_table(index="constraint", columns="metric", values="value", aggfunc="mean", sort=False)
    bounds = table.reindex(columns=list(_BOUNDS)).apply(np.exp)
    return bounds[bounds[_BOUNDS[0]].notna()]


def without_vacuous(bounds: pd.DataFrame) -> pd.DataFrame:
    """Return `final_bounds` with infinity for upper bounds that are more than `VACUOUS` times the lower bound."""
    vacuous = (bounds["lipschitz_lower"] > 0) & (bounds["lipschitz_upper"] > VACUOUS * bounds["lipschitz_lower"])
    upper = ["lipschitz_upper", "lipschitz_upper_product"]
    return bounds.assign(**{name: bounds[name].mask(vacuous, math.inf) for name in upper})


def _products(bounds: pd.DataFrame) -> pd.Series:
    """Return the product bounds that are apart from the upper bounds; NaN for the others."""
    product = bounds["lipschitz_upper_product"]
    return product.where(np.isfinite(product) & (product > _APART * bounds["lipschitz_upper"]))


def set_log_limits(axes: Axes, bounds: pd.DataFrame) -> None:
    """Set a logarithmic x axis that holds all finite ``bounds`` above zero, and 0.5 to 2."""
    values = bounds.to_numpy(float).ravel()
    values = values[np.isfinite(values) & (values > 0)]
    low, high = min(values.min(), 0.5), max(values.max(), 2.0)
    axes.set_xscale("log")
    axes.set_xlim(low / 2, high * 2)
    axes.xaxis.set_major_locator(LogLocator(numticks=8 if paper_width() is None else 4))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(log_tick))


def _bar(axes: Axes, place: float, lower: float, upper: float, style: Style) -> None:
    right = axes.get_xlim()[1]
    if math.isfinite(upper):
        axes.hlines(place, lower, upper, color=style.colour, linewidth=3, alpha=0.35)
        axes.plot(
            upper, place, color=style.colour, marker=style.marker, markersize=_marker_size(), markerfacecolor="white"
        )
    elif upper == math.inf:
        axes.hlines(place, lower, right, color=style.colour, linewidth=3, alpha=0.35)
        axes.plot(right, place, color=style.colour, marker=">", markersize=_marker_size(), clip_on=False)
    axes.plot(lower, place, color=style.colour, marker=style.marker, markersize=_marker_size())


def _marker_size() -> float:
    return 6 if paper_width() is None else 4


def _ratio(axes: Axes, place: float, ratio: float) -> None:
    """Write the ratio of the bounds right of the axes; NaN where there is none."""
    if not math.isnan(ratio):
        at = (axes.get_xlim()[1], place)
        axes.annotate(
            f"× {show(ratio, 2)}", at, xytext=(12, 0), textcoords="offset points", va="center", fontsize=points(8)
        )


def _further(axes: Axes, place: float, upper: float, exact: float, product: float, style: Style) -> None:
    """Draw the exact constant and the product bound; NaN where there is none."""
    if not math.isnan(product):
        axes.hlines(place, upper, product, color=style.colour, linewidth=0.8, alpha=0.6)
        axes.plot(product, place, color=style.colour, marker="|", markersize=8)
    if exact > 0:
        axes.plot(exact, place, color=INK, marker="o", markersize=3.5, markeredgecolor="white", markeredgewidth=0.6)
