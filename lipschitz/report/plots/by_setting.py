"""Plot the final quality of each method with each setting: one row for each setting, a band from best to worst."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.plots.base import Subject, plot
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.look import paper_width, points, text_width
from lipschitz.report.plots.panels import columns_of, fit_axis, panels
from lipschitz.report.plots.rows import Rows
from lipschitz.report.reading.metric_names import base, better, heading, parse_metric
from lipschitz.report.statistics.geometric import IN_WORDS
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.statistics.robustness import Method, Settings
from lipschitz.report.style import GREY
from lipschitz.tasks.wording import wording

_ROW = 0.135
"""Inches from one setting of a method to the next."""
_PAPER_ROW = 0.15
_GAP = 0.6
"""Rows between two methods."""


class _Row(NamedTuple):
    """A setting of a method, and its place in rows from the top."""

    method: Method
    setting: str
    place: float


def each_settings(sweep: SweepData) -> Iterator[Subject[Settings]]:
    """Yield every group of methods that were trained with several settings."""
    for found in sweep.settings:
        yield Subject(found, found.suffix, found.title)


def settings_table(found: Settings) -> pd.DataFrame:
    """Return the quality of each setting after the last step: constraint, loss, setting, metric, n, mean, low, high."""
    return found.finals[["constraint", "loss", "setting", "metric", "n", "mean", "low", "high"]]


@plot("Quality by method and setting", order=10, scope=each_settings, table=settings_table)
def by_setting(found: Settings) -> Figure | None:
    """Return one panel a metric: means and intervals after the last step, settings in the plan's order.

    A band goes from the best to the worst mean of a method. Where a seed diverged or has no finite value, the band
    reaches the worse edge of the panel, and there is a cross.
    """
    rows = _rows(found)
    if not rows:
        return None
    names = {method: found.name(method) for method in found.methods}
    titles = [heading(metric) for metric in found.metrics]
    setting_width = 0.14 + max(text_width(name, points(6.5)) for name in found.setting_names.values())
    left = Rows.of(list(names.values()), _ROW).margin + setting_width
    size = (
        4.4 if len(titles) == 1 else 3.6,
        (_ROW if paper_width() is None else _PAPER_ROW) * (rows[-1].place + 1 + _GAP),
    )
    title = f"{_title(found)} by setting  ·  {found.title}"
    figure, axes = panels(
        len(titles),
        2,
        title,
        _subtitle(found),
        size=size,
        gap=(0.3, 0.75),
        left=left,
        below=0.27,
        bottom=0.6,
        height="rows",
    )
    for index, (metric, panel) in enumerate(zip(found.metrics, axes, strict=True)):
        _set_limits(panel, found, metric)
        for method in found.methods:
            _draw_method(panel, found, metric, [row for row in rows if row.method == method])
        _draw_floor(panel, found, metric)
        panel.set_ylim(rows[-1].place + 0.5 + _GAP / 2, -0.5 - _GAP / 2)
        panel.set_yticks([row.place for row in rows], [found.setting_names[row.setting] for row in rows])
        panel.tick_params(axis="y", length=0, labelsize=points(6.5), pad=2, labelleft=index % columns_of(axes) == 0)
        panel.grid(axis="x", color="#e6e6e6", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.set_xlabel(titles[index])
    for row, text in zip(rows, axes[0].get_yticklabels(), strict=True):
        if found.is_picked(row.method, row.setting):
            text.set(fontweight="bold")
    for panel in axes[:: columns_of(axes)]:
        _write_names(panel, rows, names, setting_width)
    for panel in axes:
        _draw_separators(panel, rows)
    return figure


def _rows(found: Settings) -> list[_Row]:
    rows: list[_Row] = []
    place = 0.0
    for method in found.methods:
        for setting in found.settings_of(method):
            rows.append(_Row(method, setting, place))
            place += 1
        place += _GAP if found.settings_of(method) else 0
    return rows


def _title(found: Settings) -> str:
    return " and ".join(CATALOGUE[base(metric)].title + parse_metric(metric).qualifier for metric in found.metrics)


def _subtitle(found: Settings) -> str:
    seeds = ", ".join(map(str, found.seeds))
    of = (
        f"mean (geometric for {IN_WORDS}) and {MEAN.short} of seeds {seeds}"
        if len(found.seeds) > 1
        else f"seed {seeds}"
    )
    cross = "diverged or not finite" if found.unmeasured else "diverged"
    text = f"After the last step, {of}. Band: from a method's best to its worst setting. ×: {cross}.\n"
    text += f"Loss: {found.usual_loss} unless named. " if found.has_other_losses else ""
    if not found.tuned:
        return text.rstrip()
    chosen = "Bold settings were" if found.picked else "Settings were"
    return text + f"{chosen} chosen by these runs, so that the best is optimistic; the tables hold other seeds."


def _set_limits(axes: Axes, found: Settings, metric: str) -> None:
    """Set the x axis by the means and, where the task's axes reach it, by the floor; intervals may be cut."""
    task, floor = wording(found.group.task), found.floors.get(metric, math.nan)
    means = found.finals.loc[found.finals["metric"] == metric, "mean"].to_numpy(float)
    values = np.append(means, floor if task.axes_reach_floor else math.nan)
    fit_axis(axes, "x", values, margins=(0.06, 0.07))


def _draw_method(axes: Axes, found: Settings, metric: str, rows: list[_Row]) -> None:
    if not rows:
        return
    style = found.looks[rows[0].method.constraint]
    low_edge, high_edge = axes.get_xlim()
    worse = high_edge if better(metric) == "lower" else low_edge
    values = [found.interval(row.method, row.setting, metric) for row in rows]
    means = [value.mean for value in values if math.isfinite(value.mean)]
    if means:
        worst = [worse] if any(any(found.failures(row.method, row.setting, metric)) for row in rows) else []
        left, right = min(means + worst), max(means + worst)
        corner, height = (left, rows[0].place - 0.5), rows[-1].place - rows[0].place + 1
        axes.add_patch(Rectangle(corner, right - left, height, color=style.colour, alpha=0.15, linewidth=0))
    for row, value in zip(rows, values, strict=True):
        failed = sum(found.failures(row.method, row.setting, metric))
        ended = sum(found.counts(row.method, row.setting)[:2])
        if value.has_ends:
            axes.hlines(
                row.place,
                max(value.low, low_edge),
                min(value.high, high_edge),
                color=style.colour,
                linewidth=0.8,
                alpha=0.5,
            )
        axes.plot(value.mean, row.place, color=style.colour, marker=style.marker, markersize=4.5, linestyle="")
        if failed:
            axes.plot(
                worse, row.place, color=style.colour, marker="x", markersize=5, markeredgewidth=1.6, clip_on=False
            )
            if failed < ended:
                axes.annotate(
                    f"{failed} of {ended}",
                    (worse, row.place),
                    xytext=(-6 if worse == high_edge else 6, 0),
                    textcoords="offset points",
                    ha="right" if worse == high_edge else "left",
                    va="center",
                    fontsize=points(6),
                )


def _draw_floor(axes: Axes, found: Settings, metric: str) -> None:
    floor = found.floors.get(metric, math.nan)
    low, high = axes.get_xlim()
    if not low <= floor <= high:
        return
    axes.axvline(floor, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    right = axes.transData.transform((floor, 0))[0] > axes.transAxes.transform((0.5, 0))[0]
    axes.annotate(
        wording(found.group.task).floor,
        (floor, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-3 if right else 3, 1),
        textcoords="offset points",
        ha="right" if right else "left",
        fontsize=points(7.5),
        color=GREY,
    )


def _write_names(axes: Axes, rows: list[_Row], names: dict[Method, str], setting_width: float) -> None:
    """Write each method's name left of the names of its settings, at their middle."""
    for method, name in names.items():
        places = [row.place for row in rows if row.method == method]
        if places:
            axes.annotate(
                Rows.of([name], _ROW).labels[0],
                (0, (places[0] + places[-1]) / 2),
                xycoords=("axes fraction", "data"),
                xytext=(-72 * setting_width, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=points(8),
            )


def _draw_separators(axes: Axes, rows: list[_Row]) -> None:
    """Draw a thin line between two methods."""
    for first, second in pairwise(rows):
        if first.method != second.method:
            axes.axhline((first.place + second.place) / 2, color="#dddddd", linewidth=0.6)
