"""Draw one line for each constraint over training. Each line is labelled at its end instead of in a legend."""

from collections.abc import Sequence
from itertools import pairwise
from textwrap import fill
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator

from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.look import paper_width, points, text_width
from lipschitz.report.plots.rows import LINE, broken
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.style import Style

DASHES = (0, (3, 2))
LABEL_HEIGHT = 0.17
"""Height of a label, in inches."""
_LABEL_OVERHANG = 1.2
"""Largest length of a y axis label over its panel's height; a longer label is broken into two lines."""
_MOST_BANDS = 8
"""Constraints whose intervals are shaded in one panel; more of them would hide each other."""
_LABEL_SHARE = 0.3
"""Largest share of a paper's figure that labels beside lines may take; above it there is a legend below the panels."""
_PAPER_LABEL = 1.2
"""Inches of the widest line of a label at the end of a line in a paper's figure."""
_OTHERS = "#d8d8d8"


def lines_note(data: ComparisonData) -> str:
    """Return the part of a subtitle that explains lines, bands and crosses."""
    shaded = f", shaded: {MEAN.short}, cut at the panel's edge" if _has_bands(data) and not data.has_one_seed else ""
    cross = "" if data.diverged.empty else " A thin line ending in × is a diverged seed."
    return f"{_capitalised(data.means_text)}{shaded}.{cross}"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def draw_lines(
    panel: Axes, data: ComparisonData, curves: pd.DataFrame, diverged: pd.DataFrame, names: Sequence[str] | None = None
) -> dict[str, float]:
    """Draw one line a constraint, and one a diverged seed; return the last y of each constraint.

    Args:
        panel: where to draw.
        data: styles and order of the constraints.
        curves: constraint, step, mean, low, high.
        diverged: constraint, run, step, value.
        names: the constraints that are drawn in colour, the others in grey; None for all. ``none`` is a thin
            black line.
    """
    last: dict[str, float] = {}
    shown = data.constraints if names is None else names
    for key, trace in diverged.groupby(["constraint", "run"], sort=False):
        if str(key[0]) in shown:
            last[str(key[0])] = _draw_diverged(panel, trace, data.styles[str(key[0])])
    by_constraint = {str(name): line for name, line in curves.groupby("constraint", sort=False)}
    others = [line[["step", "mean"]].to_numpy(float) for name, line in by_constraint.items() if name not in shown]
    panel.add_collection(LineCollection(others, colors=_OTHERS, linewidths=0.7, zorder=0.5), autolim=False)
    if "none" in by_constraint and "none" not in shown:
        line = by_constraint["none"]
        panel.plot(line["step"], line["mean"], color=data.styles["none"].colour, linewidth=1.0, zorder=1.5)
    for name in shown:
        if name in by_constraint:
            last[name] = _draw_line(panel, by_constraint[name], data.styles[name], with_band=_has_bands(data))
    return last


def _draw_line(panel: Axes, line: pd.DataFrame, style: Style, *, with_band: bool) -> float:
    """Draw one constraint with its band; return its last y."""
    steps, mean, low, high = (line[column].to_numpy(float) for column in ("step", "mean", "low", "high"))
    if np.isfinite(low).any() and with_band:
        if panel.get_yscale() == "log":
            # An interval that reaches zero has no lower edge here: shade what lies above the mean.
            low = np.where(low > 0, low, mean)
        band = np.concatenate([np.stack([steps, low], 1), np.stack([steps, high], 1)[::-1]])
        panel.add_artist(Polygon(band[np.isfinite(band[:, 1])], color=style.colour, alpha=0.15, linewidth=0))
    every = max(1, len(steps) // 8)
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5}
    panel.plot(steps, mean, color=style.colour, marker=style.marker, markevery=every, **edge)
    return float(mean[-1])


def _draw_diverged(panel: Axes, trace: pd.DataFrame, style: Style) -> float:
    """Draw a diverged seed as a thin line that ends in a cross; return its last y."""
    panel.plot(trace["step"], trace["value"], color=style.colour, linewidth=0.8, alpha=0.8)
    cross: dict[str, Any] = {"marker": "x", "markersize": 7, "markeredgewidth": 2}
    panel.plot(trace["step"].iloc[-1:], trace["value"].iloc[-1:], color=style.colour, **cross)
    return float(trace["value"].iloc[-1])


def label_axes(panel: Axes, x_label: str, y_label: str) -> None:
    """Set the labels, the ticks and the grid of a panel of curves."""
    panel.set_xlabel(x_label)
    label_y_axis(panel, y_label)
    panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)


def label_y_axis(panel: Axes, text: str) -> None:
    """Set the label of the y axis, in two lines where it is much longer than the panel is high."""
    height = panel.get_position().height * cast(Figure, panel.get_figure()).get_figheight()
    is_long = text_width(text, points(8.5)) > _LABEL_OVERHANG * height
    panel.set_ylabel(fill(text, len(text) // 2 + 5) if is_long else text)


def figure_title(shown: str, data: ComparisonData) -> str:
    """Return the title of a figure: what is shown, and of which comparison."""
    return f"{shown}  ·  {data.title}"


def label_constraints(
    figure: Figure, panel: Axes, data: ComparisonData, last: dict[str, float], names: Sequence[str] | None = None
) -> None:
    """Write each constraint's label right of the panel, beside the last y of its line; of some ``names`` at the ends.

    In a paper's figure that has no room there is one legend below all panels.
    """
    shown = data.constraints if names is None else names
    entries = [(data.labels[name], data.styles[name], last.get(name)) for name in shown]
    label_lines(figure, panel, entries, at_ends=len(shown) < len(data.constraints))


def label_margin(labels: Sequence[str], *, at_ends: bool = False) -> float:
    """Return the right margin, in inches, that labels beside lines need.

    Args:
        labels: of the lines.
        at_ends: whether they stand there in a paper's figure, too, however long they are.
    """
    return 0.15 if not at_ends and _has_legend(labels) else _end_margin([_in_lines(text) for text in labels])


def _end_margin(labels: Sequence[str]) -> float:
    return 0.5 + max((text_width(line, points(8)) for label in labels for line in label.split("\n")), default=0)


def labels_height(labels: Sequence[str]) -> float:
    """Return the inches that labels at the ends of lines need, one above the other."""
    return sum(_label_height(_in_lines(label)) for label in labels)


def _label_height(written: str) -> float:
    first = LABEL_HEIGHT if paper_width() is None else 1.1 * LINE
    return first + LINE * written.count("\n")


def _in_lines(label: str) -> str:
    """Return a label at the end of a line as it is written: broken into lines in a paper's figure."""
    return label if paper_width() is None else broken(label, _PAPER_LABEL)


def _has_legend(labels: Sequence[str]) -> bool:
    """Return whether labels stand in a legend below the panels: where a paper's figure has no room beside them."""
    width = paper_width()
    return width is not None and _end_margin(labels) > _LABEL_SHARE * width


def label_lines(
    figure: Figure, axes: Axes, entries: Sequence[tuple[str, Style, float | None]], *, at_ends: bool = False
) -> None:
    """Write each label right of the axes, as near to its line's last value as the other labels allow.

    Args:
        figure: of the axes.
        axes: limits and scales are final.
        entries: label, style, and the last y (data) of its line; None where there is no line.
        at_ends: as in `label_margin`.
    """
    if not at_ends and _has_legend([label for label, _, _ in entries]):
        _add_legend(figure, entries)
        return
    width, height = figure.get_size_inches() * axes.get_position().size
    to_axes = axes.transData + axes.transAxes.inverted()
    x = axes.get_xlim()[1]
    wanted = [-1.0 if y is None else float(np.clip(to_axes.transform((x, y))[1], 0, 1)) for _, _, y in entries]
    written = [_in_lines(label) if at_ends else label for label, _, _ in entries]
    places = spread(wanted, [_label_height(label) / height for label in written])
    at: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
    for (_, style, y), label, want, place in zip(entries, written, wanted, places, strict=True):
        if y is not None:
            ends = ([1.01, 1 + 0.2 / width], [want, place])
            axes.add_artist(Line2D(*ends, color=style.colour, linewidth=0.6, **at))
        mark = ([1 + 0.27 / width], [place])
        axes.add_artist(Line2D(*mark, color=style.colour, marker=style.marker, linestyle="", **at))
        axes.text(1 + 0.36 / width, place, label, transform=axes.transAxes, va="center", fontsize=points(8))


def _add_legend(figure: Figure, entries: Sequence[tuple[str, Style, float | None]]) -> None:
    """Make the figure higher and write one legend below its panels; a figure has one however often it is asked for."""
    if figure.legends:
        return
    width, height = figure.get_size_inches()
    widest = 0.45 + max(text_width(label, points(8)) for label, _, _ in entries)
    columns = max(1, min(len(entries), int((width - 0.1) / widest)))
    extra = 0.05 + LABEL_HEIGHT * -(-len(entries) // columns)
    boxes = [(panel, panel.get_position()) for panel in figure.axes]
    figure.set_size_inches(width, height + extra)
    share = height / (height + extra)
    for panel, box in boxes:
        panel.set_position((box.x0, 1 - (1 - box.y0) * share, box.width, box.height * share))
    handles = [
        Line2D([], [], color=colour, marker=marker, linewidth=1.2, label=label)
        for label, (colour, marker), _ in entries
    ]
    spacing: dict[str, Any] = {"borderpad": 0, "borderaxespad": 0.2, "labelspacing": 0.35, "columnspacing": 1.0}
    figure.legend(handles=handles, loc="lower center", ncols=columns, frameon=False, handlelength=1.6, **spacing)


def spread(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Return places near ``wanted`` in [0, 1] and in the same order, so that labels of ``heights`` do not overlap.

    Where there are too many for the interval, the lowest go below 0.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    gaps = [(heights[one] + heights[other]) / 2 for one, other in pairwise(order)]
    places = [0.0] * len(wanted)
    floor, ceiling = 0.0, 1.0
    for index, gap in zip(order, [*gaps, 0.0], strict=False):
        places[index] = max(wanted[index], floor)
        floor = places[index] + gap
    for index, gap in zip(reversed(order), [*reversed(gaps), 0.0], strict=False):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - gap
    return places


def _has_bands(data: ComparisonData) -> bool:
    return len(data.constraints) <= _MOST_BANDS
