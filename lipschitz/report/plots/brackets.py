"""Where each method's discriminator lies between what was found and what is certified of its Lipschitz constant."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lipschitz.report.number_format import show
from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.panels import panels
from lipschitz.report.plots.scales import power
from lipschitz.report.style import GREY, Style

BOUNDS = ("lipschitz_lower", "lipschitz_upper")
_ROW = 0.27
"""Inches between two methods."""


def brackets(evidence: Evidence) -> Figure | None:
    """Return one bar a constraint after the last step: from the lower to the upper bound, geometric means over seeds.

    An upper bound that does not exist is an arrow that leaves the axes.
    """
    ends = _ends(evidence)
    if ends.empty:
        return None
    names = [name for name in evidence.constraints if name in ends.index]
    said = (
        "Lip(D), D in eval mode, lies inside the bar. Filled: largest gradient norm or difference quotient found.\n"
        "Open: certified layer bounds, composed; an arrow: not Lipschitz. After the last step, geometric mean of seeds."
    )
    room = 0.25 + 0.066 * max(len(evidence.names[name]) for name in names)
    size = (4.6, _ROW * len(names) + 0.1)
    title = f"Bracket around Lip(D)  ·  {evidence.title}"
    figure, (axes,) = panels(1, 1, title, said, size=size, left=room, right=1.0)
    _limits(axes, ends)
    for place, name in enumerate(names):
        lower, upper = (float(value) for value in ends.loc[name].to_numpy(float))
        _bar(axes, place, lower, upper, evidence.styles[name])
    axes.axvline(1.0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [evidence.names[name] for name in names])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("Lipschitz constant of D    (right: upper / lower)")
    return figure


def _ends(evidence: Evidence) -> pd.DataFrame:
    """Return lower and upper by constraint, geometric means over finished seeds, where there is a lower bound."""
    finished = evidence.runs.index[evidence.runs["status"] == "finished"]
    last = evidence.results.outcomes
    last = last[(last["which"] == "last") & last["metric"].isin(BOUNDS) & last["run"].isin(finished)]
    with np.errstate(divide="ignore"):
        logs = last.assign(value=np.log(last["value"]), constraint=last["run"].map(evidence.runs["constraint"]))
    table = logs.pivot_table(index="constraint", columns="metric", values="value", aggfunc="mean", sort=False)
    ends = table.reindex(columns=list(BOUNDS)).apply(np.exp)
    return ends[ends[BOUNDS[0]].notna()]


def _limits(axes: Axes, ends: pd.DataFrame) -> None:
    values = ends.to_numpy(float).ravel()
    values = values[np.isfinite(values) & (values > 0)]
    low, high = min(values.min(), 0.5), max(values.max(), 2.0)
    axes.set_xscale("log")
    axes.set_xlim(low / 2, high * 2)
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(power))


def _bar(axes: Axes, place: int, lower: float, upper: float, style: Style) -> None:
    right = axes.get_xlim()[1]
    if math.isfinite(upper):
        axes.hlines(place, lower, upper, color=style.colour, linewidth=3, alpha=0.35)
        axes.plot(upper, place, color=style.colour, marker=style.marker, markersize=6, markerfacecolor="white")
    elif upper == math.inf:
        axes.hlines(place, lower, right, color=style.colour, linewidth=3, alpha=0.35)
        axes.plot(right, place, color=style.colour, marker=">", markersize=6, clip_on=False)
    axes.plot(lower, place, color=style.colour, marker=style.marker, markersize=6)
    ratio = upper / lower if lower else math.nan
    if not math.isnan(ratio):
        axes.annotate(
            f"× {show(ratio, 2)}", (right, place), xytext=(12, 0), textcoords="offset points", va="center", fontsize=8
        )
