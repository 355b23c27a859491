"""Draw the figures of ``speed.py``. CPU: ratios of step times. GPU: throughput, captured and packed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from peer_implementations import PEERS
from speed_tables import median_ms

from lipschitz.report.plots.file_formats import render
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.panels import panels
from lipschitz.report.style import GREY, ordered, styles

ROW = 0.27
"""Inches between two rows."""
Point = tuple[float, float, float]
"""A median and the ends of its interval."""


def draw(folder: Path, found: Mapping[str, Any]) -> None:
    """Write ``speed_<device>.svg``, ``.pdf`` and ``.png`` into ``folder`` for each device in ``found``."""
    for device, figure in (("cpu", _on_cpu), ("cuda", _on_cuda)):
        if device in found and _times(found[device]):
            with report_style():
                for kind, content in render(figure(found)).items():
                    (folder / f"speed_{device}.{kind}").write_bytes(content)


def _on_cpu(found: Mapping[str, Any]) -> Any:
    result = found["cpu"]
    times = _times(result)
    methods = [name for name in ordered({method for method, *_ in times}) if name != "none"]
    rows = [row for row in found.get("peers", {}).get("rows", []) if row.get("step") == "discriminator"]
    peers = [name for name in PEERS if any(row["peer"] == name for row in rows)]
    widths = sorted({width for _, _, width in times} | {row["width"] for row in rows})
    height = ROW * max(len(methods), len(peers), 3)
    shown = f"Open: {_sizes(widths[:-1])}; filled: {_sizes(widths[-1:])}."
    figure, axes = panels(
        2 if peers else 1,
        2,
        "Time of a discriminator step",
        f"Medians; on the right with 95 % intervals, and left of 1 ours is faster. {shown}\n"
        f"{result['provenance']['device']}",
        size=(3.3, height),
        gap=(3.3, 0.75),
        left=1.9,
        above=0.22,
    )
    cost = {
        (methods.index(method), width): (value / base,) * 3
        for (method, _, width), (value, *_) in _discriminator(times).items()
        if method in methods and (base := _discriminator(times).get(("none", "float32", width), (0,))[0])
    }
    colours = [styles(methods)[name].colour for name in methods]
    _dots(axes[0], methods, colours, cost, widths[-1])
    axes[0].set_title("each constraint over none")
    if peers:
        ratios = {
            (peers.index(row["peer"]), row["width"]): tuple(row["ratio"][key] for key in ("median", "low", "high"))
            for row in rows
        }
        colours = [
            styles(["spectral_normalization"])["spectral_normalization"].colour if name.startswith("torch") else GREY
            for name in peers
        ]
        _dots(axes[1], [PEERS[name].label for name in peers], colours, ratios, widths[-1])
        axes[1].set_title("ours, over other implementations of it")
    return figure


def _on_cuda(found: Mapping[str, Any]) -> Any:
    cells, times = found["cuda"]["cells"], _times(found["cuda"])
    precision = "tf32" if any(key[1] == "tf32" for key in times) else "float32"
    shown = {(method, width): value for (method, p, width), value in times.items() if p == precision}
    widths = sorted({width for _, width in shown}, reverse=True)
    methods = ordered({method for method, _ in shown})
    figure, axes = panels(
        len(widths),
        2,
        f"Iterations per second, {precision}",
        "Open: launched call by call; filled: captured in a CUDA graph; star: the best packing, all runs together.\n"
        f"{found['cuda']['provenance']['device']}",
        size=(3.4, ROW * max(len(methods), 3)),
        gap=(2.0, 0.75),
        left=2.0,
        above=0.22,
    )
    colours = styles(methods)
    for panel, width in zip(axes, widths, strict=True):
        for row, method in enumerate(methods):
            value, packs = shown.get((method, width)), cells.get(f"packs/{precision}/{width}/{method}")
            both = (median_ms(value, how, "ms_iteration") for how in ("launched", "captured"))
            together = [pack["iterations_per_second"] for pack in packs] if isinstance(packs, list) else []
            speeds = [*(ms and 1000 / ms for ms in both), max(together, default=None)]
            for speed, marker, face in zip(speeds, "oo*", ("white", None, None), strict=True):
                if speed:
                    colour = colours[method].colour
                    panel.plot(speed, row, marker, color=colour, markerfacecolor=face or colour, markersize=6)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        _rows(panel, methods)
        panel.set_title(f"width {width}")
    return figure


def _times(result: Mapping[str, Any]) -> dict[tuple[str, str, int], Any]:
    """Return the timed cells by method, precision and width."""
    keys = [key.split("/") for key in result["cells"] if key.startswith("times/")]
    found = {(method, p, int(width)): result["cells"][f"times/{p}/{width}/{method}"] for _, p, width, method in keys}
    return {key: value for key, value in found.items() if "launched" in value}


def _discriminator(times: Mapping[tuple[str, str, int], Any]) -> dict[tuple[str, str, int], Point]:
    parts = {key: value["launched"]["ms_discriminator_step"] for key, value in times.items()}
    return {key: (part["median"], part["low"], part["high"]) for key, part in parts.items()}


def _dots(
    panel: Axes,
    names: Sequence[str],
    colours: Sequence[str],
    points: Mapping[tuple[int, int], Sequence[float]],
    widest: int,
) -> None:
    for (row, width), (median, low, high) in points.items():
        at = row + (-0.14 if width == widest else 0.14)
        panel.plot([low, high], [at, at], color=colours[row], linewidth=1.2, zorder=2)
        face = colours[row] if width == widest else "white"
        panel.plot(median, at, "o", color=colours[row], markerfacecolor=face, markersize=5, zorder=3)
    panel.axvline(1, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    panel.set_xlabel("ratio")
    panel.xaxis.set_major_locator(MaxNLocator(5))
    _rows(panel, names)


def _rows(panel: Axes, names: Sequence[str]) -> None:
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_yticks(range(len(names)), list(names))
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)


def _sizes(widths: Iterable[int]) -> str:
    return ", ".join(f"width {width}" for width in widths) or "none"
