"""Plot the time of a training step: two bars for each constraint, the discriminator's step and the generator's."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.lines import figure_title
from lipschitz.report.plots.look import points, text_width
from lipschitz.report.plots.panels import panels
from lipschitz.report.plots.rows import Rows
from lipschitz.report.reading.timing import GENERATOR, STEP, is_captured, uncaptured_parts
from lipschitz.report.statistics.intervals import MEDIAN, Interval
from lipschitz.report.statistics.timings import UNSTEADY, drift, step_ratio
from lipschitz.report.style import GREY
from lipschitz.tasks.wording import wording

_ROW = 0.24
"""Inches between two methods."""
_BAR = 0.36
"""Height of a bar, in rows."""
_EDGE = 0.9
"""Width of the edge of an open bar, in points."""
_PALE, _PALE_EDGE = "#c9c9c9", "#9c9c9c"
"""Greys of the generator: what fills a bar, and the edge of an open one."""


def step_time_table(data: ComparisonData) -> pd.DataFrame:
    """Return the timed parts of a step: constraint, part, device, median, low and high, in milliseconds."""
    columns = ["median", "low", "high", "n"]
    rows = [
        {"constraint": name, "part": part, "device": timing.get("device", "")}
        | {key: value.get(key) for key in columns}
        for name, timing in data.timings.items()
        for part, value in timing.items()
        if isinstance(value, dict) and "median" in value
    ]
    return pd.DataFrame(rows, columns=["constraint", "part", "device", *columns])


@plot("Time of a training step", order=120, table=step_time_table)
def step_time(data: ComparisonData) -> Figure | None:
    """Return the milliseconds of a step by constraint, from the serial timing pass, in the fixed order.

    Sorted by time, methods closer than the noise would change places from one timing pass to the next. The text right
    of a row is the time of a discriminator step over that of ``none`` on the same device. Where steps can be captured
    as CUDA graphs, a step that is launched kernel by kernel is an open bar, around or inside that of the captured step.
    """
    timings = {name: data.timings[name] for name in data.constraints if name in data.timings}
    if not timings:
        return None
    task, none = wording(data.comparison.task), data.timings.get("none")
    timed = [part for part in (STEP, GENERATOR) if part in task.timed]
    rows = Rows.of([data.results.shown(name) for name in timings], _ROW)
    figure, (axes,) = panels(
        1,
        1,
        figure_title("Time of a step", data),
        _subtitle(data, timed, task.network, none),
        size=(4.6, rows.tall()),
        left=rows.margin,
        right=0.2 + text_width("× 99.99", points(8)),
        height="rows",
    )
    axes.set_xlim(0, 1.04 * max(_highest(timing, part) for timing in timings.values() for part in timed))
    for place, (name, timing) in zip(rows.places, timings.items(), strict=True):
        for index, part in enumerate(timed):
            at = place + (index - (len(timed) - 1) / 2) * _BAR
            colour = data.styles[name].colour if part == STEP else None
            if is_captured(timing) or not uncaptured_parts(timing):
                # Pale, so that the edge of an open bar inside it is seen.
                alpha = 0.6 if uncaptured_parts(timing) else 0.85
                _bar(axes, at, timing[part], height=_BAR, color=colour or _PALE, alpha=alpha)
            if part in uncaptured_parts(timing):
                edge = {"facecolor": "none", "edgecolor": colour or _PALE_EDGE, "linewidth": _EDGE}
                # The outside of the edge is as high as a filled bar.
                _bar(axes, at, uncaptured_parts(timing)[part], height=_BAR - _EDGE / 72 / _ROW, **edge)
        _ratio(axes, place, timing, none)
    rows.label(axes)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("Milliseconds")
    return figure


def _subtitle(data: ComparisonData, timed: list[str], network: str, none: dict[str, Any] | None) -> str:
    devices = sorted({str(timing.get("device", "")) for timing in data.timings.values()} - {""})
    on = f": {'; '.join(devices)}" if devices else ""
    bars = f"Colour: {network.lower()} step." + (" Grey: generator step." if GENERATOR in timed else "")
    text = f"{bars} Thin line: {MEDIAN.short}.{_legend(data)}\n"
    text += f"Medians, alone on the device (serial timing pass){on}."
    text += f"\nRight: {_compared(network, none)}." if none else ""
    missing = [name for name in data.constraints if name not in data.timings]
    return text + (f" Not measured: {', '.join(missing)}." if missing else "")


def _compared(network: str, none: dict[str, Any]) -> str:
    """Return what the text right of a row is."""
    return f"{network.lower()} step over that of none" + (", both captured" if is_captured(none) else "")


def _legend(data: ComparisonData) -> str:
    """Return the legend of filled and open bars; empty where no bar is open."""
    if not any(uncaptured_parts(timing) for timing in data.timings.values()):
        return ""
    if any(map(is_captured, data.timings.values())):
        return "\nFilled: captured as CUDA graphs, as it is trained; open: launched kernel by kernel."
    return "\nOpen: launched kernel by kernel; nothing was captured as CUDA graphs."


def _highest(timing: dict[str, Any], part: str) -> float:
    """Return the highest value that is drawn for a part of the step."""
    drawn = [timing[part], uncaptured_parts(timing).get(part, timing[part])]
    return max(float(one.get(end, 0.0)) for one in drawn for end in ("median", "high"))


def _bar(axes: Axes, place: float, timing: dict[str, float], **properties: Any) -> None:
    interval = Interval.of_timing(timing)
    axes.barh(place, interval.mean, **properties)
    if interval.has_ends:
        axes.hlines(place, interval.low, interval.high, color="black", linewidth=0.8)


def _ratio(axes: Axes, place: float, timing: dict[str, Any], none: dict[str, Any] | None) -> None:
    """Write the time of a discriminator step over that of ``none``, where both were timed in the same way."""
    ratio = step_ratio(timing, none) if none else None
    if none is None or ratio is None:
        return
    axes.annotate(
        UNSTEADY if drift(timing, STEP) or drift(none, STEP) else f"× {ratio.mean:.2f}",
        (1, place),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=points(8),
        color=GREY if none is timing else "black",
    )
