"""Labels beside the lines they name, so that no legend has to be looked up."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lipschitz.report.style import Style

_INCH_PER_CHARACTER = 0.062
LINE = 0.17
"""Height of a line of a label, in inches."""


def label_room(labels: Sequence[str]) -> float:
    """Return the right margin, in inches, that direct labels need."""
    return 0.55 + _INCH_PER_CHARACTER * max((len(label) for label in labels), default=0)


def label_ends(figure: Figure, axes: Axes, entries: Sequence[tuple[str, Style, float | None]]) -> None:
    """Write each label right of the axes, as near to its line's last value as the others allow.

    Args:
        axes: limits and scales are final.
        entries: label, style, and the y (data) at which its line ends; None where there is no line.
    """
    width, height = figure.get_size_inches() * axes.get_position().size
    to_axes = axes.transData + axes.transAxes.inverted()
    x = axes.get_xlim()[1]
    wanted = [-1.0 if y is None else float(np.clip(to_axes.transform((x, y))[1], 0, 1)) for _, _, y in entries]
    places = spread(wanted, LINE / height)
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
