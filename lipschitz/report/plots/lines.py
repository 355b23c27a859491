"""Draw one line for each constraint over training. Each line is labelled at its end instead of in a legend."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator

from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.statistics.geometric import SEEDS
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.style import Style

DASHES = (0, (3, 2))
LABEL_HEIGHT = 0.17
"""Height of a label, in inches."""
LONGEST_AXIS_LABEL = 40
"""Characters of a y axis label that fit beside a panel of the usual height; a longer label is broken into two lines."""
_MOST_BANDS = 8
"""Constraints whose intervals are shaded in one panel; more of them would hide each other."""
_INCH_PER_CHARACTER = 0.062


def lines_note(data: ComparisonData) -> str:
    """Return the part of a subtitle that explains lines, bands and crosses."""
    shaded = f", shaded: {MEAN.short}, cut at the panel's edge" if _has_bands(data) else ""
    return f"{SEEDS.capitalize()}{shaded}. A thin line ending in × is a diverged seed."


def draw_lines(panel: Axes, data: ComparisonData, curves: pd.DataFrame, diverged: pd.DataFrame) -> dict[str, float]:
    """Draw one line a constraint, and one a diverged seed; return the last y of each constraint."""
    last: dict[str, float] = {}
    for key, trace in diverged.groupby(["constraint", "run"], sort=False):
        name, style = str(key[0]), data.styles[str(key[0])]
        panel.plot(trace["step"], trace["value"], color=style.colour, linewidth=0.8, alpha=0.8)
        panel.plot(
            trace["step"].iloc[-1:],
            trace["value"].iloc[-1:],
            color=style.colour,
            marker="x",
            markersize=7,
            markeredgewidth=2,
        )
        last[name] = float(trace["value"].iloc[-1])
    by_constraint = {str(name): line for name, line in curves.groupby("constraint", sort=False)}
    for name in data.constraints:
        if name not in by_constraint:
            continue
        line, style = by_constraint[name], data.styles[name]
        steps, mean, low, high = (line[column].to_numpy(float) for column in ("step", "mean", "low", "high"))
        if np.isfinite(low).any() and _has_bands(data):
            if panel.get_yscale() == "log":
                # An interval that reaches zero has no lower edge here: shade what lies above the mean.
                low = np.where(low > 0, low, mean)
            band = np.concatenate([np.stack([steps, low], 1), np.stack([steps, high], 1)[::-1]])
            panel.add_artist(Polygon(band[np.isfinite(band[:, 1])], color=style.colour, alpha=0.15, linewidth=0))
        every = max(1, len(steps) // 8)
        panel.plot(
            steps,
            mean,
            color=style.colour,
            marker=style.marker,
            markevery=every,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
        last[name] = float(mean[-1])
    return last


def label_axes(panel: Axes, x_label: str, y_label: str) -> None:
    """Set the labels, the ticks and the grid of a panel of curves."""
    panel.set_xlabel(x_label)
    panel.set_ylabel(fill(y_label, len(y_label) // 2 + 5) if len(y_label) > LONGEST_AXIS_LABEL else y_label)
    panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)


def figure_title(shown: str, data: ComparisonData) -> str:
    """Return the title of a figure: what is shown, and of which comparison."""
    return f"{shown}  ·  {data.title}"


def label_constraints(figure: Figure, panel: Axes, data: ComparisonData, last: dict[str, float]) -> None:
    """Write each constraint's label right of the panel, beside the last y of its line."""
    label_lines(figure, panel, [(data.labels[name], data.styles[name], last.get(name)) for name in data.constraints])


def constraints_margin(data: ComparisonData) -> float:
    """Return the right margin, in inches, that the constraints' labels need."""
    return label_margin(list(data.labels.values()))


def label_margin(labels: Sequence[str]) -> float:
    """Return the right margin, in inches, that labels beside lines need."""
    return 0.55 + _INCH_PER_CHARACTER * max((len(label) for label in labels), default=0)


def label_lines(figure: Figure, axes: Axes, entries: Sequence[tuple[str, Style, float | None]]) -> None:
    """Write each label right of the axes, as near to its line's last value as the other labels allow.

    Args:
        axes: limits and scales are final.
        entries: label, style, and the last y (data) of its line; None where there is no line.
    """
    width, height = figure.get_size_inches() * axes.get_position().size
    to_axes = axes.transData + axes.transAxes.inverted()
    x = axes.get_xlim()[1]
    wanted = [-1.0 if y is None else float(np.clip(to_axes.transform((x, y))[1], 0, 1)) for _, _, y in entries]
    places = spread(wanted, LABEL_HEIGHT / height)
    for (label, style, y), want, place in zip(entries, wanted, places, strict=True):
        if y is not None:
            axes.add_artist(
                Line2D(
                    [1.01, 1 + 0.2 / width],
                    [want, place],
                    color=style.colour,
                    linewidth=0.6,
                    transform=axes.transAxes,
                    clip_on=False,
                )
            )
        axes.add_artist(
            Line2D(
                [1 + 0.27 / width],
                [place],
                color=style.colour,
                marker=style.marker,
                linestyle="",
                transform=axes.transAxes,
                clip_on=False,
            )
        )
        axes.text(1 + 0.36 / width, place, label, transform=axes.transAxes, va="center", fontsize=8)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return places near ``wanted`` in [0, 1] and in the same order, no two closer than ``gap``.

    Where there are too many for the interval, the lowest go below 0.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    places = [0.0] * len(wanted)
    floor, ceiling = 0.0, 1.0
    for index in order:
        places[index] = max(wanted[index], floor)
        floor = places[index] + gap
    for index in reversed(order):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - gap
    return places


def _has_bands(data: ComparisonData) -> bool:
    return len(data.constraints) <= _MOST_BANDS
