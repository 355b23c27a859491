"""Plot the robust accuracy of classifiers against the size of the change: between certified and attacked accuracy."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.lines import DASHES, figure_title
from lipschitz.report.plots.look import paper_width, points, text_width
from lipschitz.report.plots.panels import columns_of, panels
from lipschitz.report.plots.rows import broken
from lipschitz.report.reading.metric_names import parse_metric

_ATTACKED, _CERTIFIED = "pgd_accuracy", "certified_accuracy"
_OTHERS = "#d4d4d4"
_COLUMNS = 4
_PAPER_TITLE = 1.2
"""Inches of the widest line of a panel's title in a paper."""


def robust_table(data: ComparisonData) -> pd.DataFrame:
    """Return certified and attacked accuracy: constraint, epsilon and a column each."""
    bands = [band.reset_index().assign(constraint=name) for name, band in _bands(data).items()]
    return pd.concat(bands)[["constraint", "epsilon", _CERTIFIED, _ATTACKED]]


@plot("Robust accuracy, between certified and attacked", order=32, table=robust_table)
def robust_accuracy(data: ComparisonData) -> Figure | None:
    """Return one panel a constraint: its band from certified to PGD accuracy by ε, over the lines of all others.

    Means over the seeds that finished, after the last step. The band is a bracket of the robust accuracy, not an
    interval over seeds. All of a band is of the same images: at ε = 0 it is the accuracy on the attacked ones, which
    folders of earlier versions do not have.
    """
    bands = _bands(data)
    if not bands:
        return None
    title = figure_title("Robust accuracy", data)
    subtitle = (
        "Upper line: accuracy under PGD. Lower, dashed: certified accuracy. The robust accuracy lies in the band.\n"
        f"l2 change of size ε, pixels in [0, 1]. After the last step, {data.mean_over_seeds()},\n"
        "on the attacked test images. Grey: the other methods."
    )
    # A title must not reach into the next panel.
    width = max(2.3, max(text_width(data.labels[name], points(8)) for name in bands) - 0.2)
    figure, axes = panels(
        len(bands), _COLUMNS, title, subtitle, size=(width, 1.45), gap=(0.3, 0.45), left=0.65, right=0.35, above=0.2
    )
    columns = columns_of(axes)
    for index, (name, panel) in enumerate(zip(bands, axes, strict=True)):
        for other, band in bands.items():
            if other != name:
                _lines(panel, band, _OTHERS, 0.7)
        style, own = data.styles[name], bands[name]
        panel.fill_between(own.index, own[_CERTIFIED], own[_ATTACKED], color=style.colour, alpha=0.25, linewidth=0)
        _lines(panel, own, style.colour, 1.6, style.marker)
        _dress(panel, data.labels[name], left=index % columns == 0, lowest=index + columns >= len(bands))
    return figure


def _bands(data: ComparisonData) -> dict[str, pd.DataFrame]:
    """Return by constraint the certified and attacked accuracy (columns) by ε (the index, rising)."""
    last = data.final
    parsed = last["metric"].map(parse_metric)
    last = last.assign(base=parsed.map(lambda name: name.base), place=parsed.map(lambda name: name.place))
    robust = last[last["base"].isin([_ATTACKED, _CERTIFIED])]
    robust = robust.assign(epsilon=pd.to_numeric(robust["place"], errors="coerce"))
    found = {}
    for name in data.constraints:
        rows = robust[(robust["constraint"] == name) & np.isfinite(robust["epsilon"])]
        band = rows.pivot_table(index="epsilon", columns="base", values="mean")
        if {_ATTACKED, _CERTIFIED} <= set(band):
            found[name] = band.sort_index()
    return found


def _lines(panel: Axes, band: pd.DataFrame, colour: str, width: float, marker: str = "") -> None:
    look: dict[str, Any] = {"color": colour, "linewidth": width, "markeredgecolor": "white", "markeredgewidth": 0.5}
    panel.plot(band.index, band[_ATTACKED], marker=marker, **look)
    panel.plot(band.index, band[_CERTIFIED], linestyle=DASHES, **look)


def _dress(panel: Axes, title: str, *, left: bool, lowest: bool) -> None:
    panel.set_title(title if paper_width() is None else broken(title, _PAPER_TITLE), fontsize=points(8))
    panel.set_ylim(0, 1)
    panel.set_xlim(left=0)
    panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    panel.yaxis.set_major_locator(MaxNLocator(4))
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel.tick_params(labelleft=left, labelbottom=lowest)
    panel.grid(axis="y", color="#ececec", linewidth=0.6)
    panel.set_axisbelow(True)
    if left:
        panel.set_ylabel("Accuracy")
    if lowest:
        panel.set_xlabel("ε")
