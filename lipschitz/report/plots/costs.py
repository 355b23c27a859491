"""What each method reaches for the time that it takes: one point a constraint."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.number_format import show
from lipschitz.report.plots.devices import several_devices
from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.labels import LINE
from lipschitz.report.plots.lines import axis, heading_of, label, room
from lipschitz.report.plots.panels import horizontal, panels, scale
from lipschitz.report.plots.scales import FINE, fit
from lipschitz.report.reading.metric_names import base, heading
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.style import GREY
from lipschitz.report.wording import wording
from lipschitz.sweep.timing.timing_files import iteration_ms

MOST = 2
"""Panels: the first metrics of quality, which are those that a method is judged by."""
_WIDEST = 3.0
"""Factor between the dearest and the cheapest method above which the axis of seconds is logarithmic."""
_LEAST = 0.4
"""Share of an axis that the methods keep for themselves, however far below them the floor lies."""
_FRONT = "#d0d0d0"


def quality_by_cost(evidence: Evidence) -> Figure | None:
    """Return the quality after the last step against the seconds of the whole training, one panel a metric.

    Seconds are steps times what the serial timing pass measured of a step, as in `quality_by_seconds`. Constraints
    without a timing are named; those of which no seed finished have a label and no point. Those
    timed on different devices are named, and have no front.
    """
    points = {metric: _points(evidence, metric) for metric in _judging(evidence)}
    points = {metric: rows for metric, rows in points.items() if len(rows)}
    if not points:
        return None
    shown = {name for rows in points.values() for name in rows["constraint"]}
    devices = several_devices(evidence, [name for name in evidence.constraints if name in shown])
    figure, axes = panels(
        len(points),
        1,
        heading_of("Quality by cost", evidence),
        _said(evidence, points, devices),
        size=(4.4, max(2.2, LINE * len(evidence.constraints))),
        gap=(0.75, 0.3),
        right=room(evidence),
    )
    seconds = pd.concat(points.values())["seconds"].to_numpy(float)
    for panel, (metric, rows) in zip(axes, points.items(), strict=True):
        lowest = panel is axes[-1]
        axis(panel, "Seconds of training, alone on the device" if lowest else "", heading(metric))
        panel.tick_params(axis="x", labelbottom=lowest)
        # Lines to the labels lie across the panel already.
        panel.grid(visible=False, axis="y")
        panel.grid(axis="x", color="#ececec", linewidth=0.6)
        _floor(panel, evidence, metric, rows["mean"].to_numpy(float))
        # A twentieth of the seconds at least: methods of one budget are not to be spread by what rounding left.
        fit(panel, "x", seconds, widest=_WIDEST, least=0.05, ticks=FINE)
        if not devices:
            _front(panel, rows[~rows["broken"]], lower=CATALOGUE[base(metric)].better == "lower")
        _mark(panel, evidence, rows)
        label(figure, panel, evidence, dict(zip(rows["constraint"], rows["mean"], strict=True)))
    return figure


def front(seconds: NDArray[np.float64], means: NDArray[np.float64], *, lower: bool) -> list[int]:
    """Return the Pareto front, the cheapest point first: no other point is as cheap and as good, and better in one.

    Args:
        seconds: cost of each point, ``(m,)``.
        means: what it reached, ``(m,)``.
        lower: whether lower is better.
    """
    worse = means if lower else -means
    best, found = np.inf, []
    for index in np.lexsort((worse, seconds)):
        if worse[index] < best:
            best = worse[index]
            found.append(int(index))
    return found


def _judging(evidence: Evidence) -> list[str]:
    there = [name for name in evidence.quality if name in evidence.metrics]
    return [name for name in there if base(name) in CATALOGUE and CATALOGUE[base(name)].better][:MOST]


def _points(evidence: Evidence, metric: str) -> pd.DataFrame:
    """Return constraint, mean, ci95, seconds and whether a seed diverged (``broken``), where seeds finished."""
    last = evidence.final
    rows: pd.DataFrame = last[(last["metric"] == metric) & np.isfinite(last["mean"])]
    rows = rows[rows["constraint"].isin(evidence.timings)]
    per_step = {name: iteration_ms(timing) / 1000 for name, timing in evidence.timings.items()}
    diverged = evidence.runs.loc[evidence.runs["status"] == "diverged", "constraint"]
    seconds = rows["step"] * rows["constraint"].map(per_step).astype(float)
    return rows.assign(seconds=seconds, broken=rows["constraint"].isin(diverged))


def _floor(panel: Axes, evidence: Evidence, metric: str, means: NDArray[np.float64]) -> None:
    """Set the axis of quality by the means, and by the floor where that does not press them into a corner."""
    floor, name = evidence.floors.get(metric, np.nan), wording(evidence.comparison.task).floor
    scale(panel, [*means, floor if _leaves_room(means, floor) else np.nan])
    low, high = panel.get_ylim()
    if low <= floor <= high:
        horizontal(panel, floor, name)
    elif np.isfinite(floor):
        place, arrow = (0.02, "↓") if floor < low else (0.94, "↑")
        panel.text(0.01, place, f"{arrow} {name}: {show(floor)}", transform=panel.transAxes, fontsize=7.5, color=GREY)


def _leaves_room(means: NDArray[np.float64], floor: float) -> bool:
    """Say whether the means keep `_LEAST` of an axis that begins or ends at the floor."""
    there = np.append(means, floor)
    values = np.log(there) if there.min() > 0 and there.max() > 20 * there.min() else there
    return bool(np.ptp(values[:-1]) >= _LEAST * np.ptp(values))


def _front(panel: Axes, rows: pd.DataFrame, *, lower: bool) -> None:
    seconds, means = rows["seconds"].to_numpy(float), rows["mean"].to_numpy(float)
    if there := front(seconds, means, lower=lower):
        x, y = [*seconds[there], panel.get_xlim()[1]], [*means[there], means[there[-1]]]
        panel.step(x, y, where="post", color=_FRONT, linewidth=2.5, zorder=0.9)


def _mark(panel: Axes, evidence: Evidence, rows: pd.DataFrame) -> None:
    """Draw each point with its interval, and a faint line from it to where its label begins."""
    bottom, right = panel.get_ylim()[0], panel.get_xlim()[1]
    seconds, mean, ci95 = (rows[column].to_numpy(float) for column in ("seconds", "mean", "ci95"))
    looks = [evidence.styles[name] for name in rows["constraint"]]
    colours = [style.colour for style in looks]
    # An interval that reaches zero has no lower end on a logarithmic axis: it leaves the panel.
    low = np.where((panel.get_yscale() == "log") & (mean <= ci95), bottom, mean - ci95)
    panel.hlines(mean, seconds, right, colors=colours, linewidth=0.5, alpha=0.5, zorder=1.1)
    panel.vlines(seconds, low, mean + ci95, colors=colours, linewidth=1, alpha=0.5, zorder=1.2)
    for x, y, style in zip(seconds, mean, looks, strict=True):
        panel.plot(
            x,
            y,
            color=style.colour,
            marker=style.marker,
            markersize=6.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linestyle="",
        )


def _said(evidence: Evidence, points: dict[str, pd.DataFrame], devices: str) -> str:
    bars = any(rows["ci95"].notna().any() for rows in points.values())
    bar = f", bar: {MEAN.short}, cut at the panel's edge" if bars else ""
    said = f"After the last step, mean over n seeds{bar}"
    broken = any(rows["broken"].any() for rows in points.values())
    whose = ", of methods without a diverged seed" if broken else ""
    said += ".\n" if devices else f".\nGrey steps: no other method's mean is better in less time{whose}.\n"
    said += "Seconds = steps × time of one step alone on the device (serial timing pass)."
    without = [name for name in evidence.constraints if name not in evidence.timings]
    return said + (f" Not measured: {', '.join(without)}." if without else "") + devices
