"""Draw the figure of ``estimators.py``: error against time, one panel for each layer and kind of σ."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lipschitz.report.plots.file_formats import render
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.panels import log_tick, panels

FLOOR = 1e-12
"""Smaller errors are drawn at this value."""
COLOURS = {
    "SVD": "#000000",
    "eigenvalues": "#7F7F7F",
    "power iteration, random": "#56B4E9",
    "power iteration, ones": "#CC79A7",
    "power iteration, warm": "#0072B2",
    "Lanczos, random": "#E69F00",
    "Lanczos, warm": "#D55E00",
    "Gram": "#009E73",
    "reshaped": "#882255",
}
MARKERS = dict(zip(COLOURS, "sDov^ovPX", strict=True))


def draw(folder: Path, estimates: Sequence[dict[str, Any]], device: str) -> None:
    """Write ``estimators.svg``, ``.pdf`` and ``.png``. Upper row: σ of reshaped kernels. Lower row: σ of operators."""
    layers = list(dict.fromkeys(row["layer"] for row in estimates))
    shown = layers if len(layers) <= 3 else [layers[0], layers[len(layers) // 2], layers[-1]]
    with report_style():
        figure, axes = panels(
            2 * len(shown),
            len(shown),
            "Estimators of σ: error against time",
            f"Filled: from below. Open: from above. Errors under {FLOOR:g} are drawn there. {device}",
            size=(3.1, 2.6),
            gap=(0.85, 0.85),
            above=0.2,
            right=2.6,
        )
        places = [(of, layer) for of in ("reshaped", "operator") for layer in shown]
        for (of, layer), panel in zip(places, axes, strict=True):
            rows = [row for row in estimates if (row["of"], row["layer"]) == (of, layer)]
            for key in COLOURS:
                points = sorted((row["ms"], row["error"]) for row in rows if row["estimator"].startswith(key))
                if points:
                    _line(panel, key, points)
            panel.set(xscale="log", yscale="log", xlabel="ms", ylabel="|relative error|", ylim=(FLOOR / 3, 3))
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_locator(LogLocator(numticks=6))
                axis.set_minor_locator(NullLocator())
                axis.set_major_formatter(FuncFormatter(log_tick))
            panel.set_title(f"{layer}, {of}")
            panel.grid(color="#e6e6e6", linewidth=0.6)
        handles = {str(line.get_label()): line for panel in axes for line in panel.lines}
        handles = {label: line for label, line in handles.items() if not label.startswith("_")}
        figure.legend(handles.values(), handles.keys(), loc="center right", frameon=False, fontsize=8)
        for kind, content in render(figure).items():
            (folder / f"estimators.{kind}").write_bytes(content)


def _line(panel: Any, key: str, points: Sequence[tuple[float, float]]) -> None:
    times = [ms for ms, _ in points]
    errors = [max(abs(error), FLOOR) for _, error in points]
    faces = ["white" if error > FLOOR else COLOURS[key] for _, error in points]
    # A direct method has a single time, so only iterative methods are joined by a line.
    style = {"color": COLOURS[key], "marker": MARKERS[key], "linewidth": 1 if len(points) > 2 else 0}
    for ms, error, face in zip(times, errors, faces, strict=True):
        panel.plot(ms, error, **style, markerfacecolor=face, zorder=3)
    panel.plot(times, errors, **style, markersize=0)
    label = {"Gram": "Gram iteration (certified)", "reshaped": "by the reshaped σ"}.get(key, key)
    panel.plot([], [], **style, label=label)
