"""Draw the effect of a claim from each start, with its interval, around the value of no difference."""

import io
import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from lipschitz.report.claims.verdicts import Decided
from lipschitz.report.plots.look import report_style
from lipschitz.report.style import GREY, INK

COLOURS = {"true": "#009E73", "false": "#D55E00", "undecided": GREY, "not run": GREY, "depends": "#0072B2"}
_LONG, _TICKS = 8, 5
_WORDS = {"ratio": "Ratio", "difference": "Difference", "correlation": "Spearman's correlation"}


def draw(decided: Decided) -> bytes | None:
    """Return the figure as SVG: a row a start that has an interval, coloured by its verdict; None without such rows."""
    rows = [tested for tested in decided.tested if math.isfinite(tested.comparison.low)]
    if not rows:
        return None
    scale = rows[0].comparison.scale
    with report_style():
        figure = Figure(figsize=(5.2, 0.55 + 0.24 * len(rows)), layout="constrained")
        panel = figure.add_subplot()
        for place, tested in enumerate(reversed(rows)):
            one = tested.comparison
            colour = COLOURS[tested.verdict]
            panel.hlines(place, one.low, one.high, color=colour, linewidth=2)
            panel.plot(one.effect, place, "o", color=colour, markersize=5)
        panel.set_yticks(
            range(len(rows)), [f"{one.comparison.place}, {one.comparison.start}" for one in reversed(rows)]
        )
        panel.set_ylim(-0.6, len(rows) - 0.4)
        if scale == "ratio":
            _logarithmic(panel, [end for one in rows for end in (one.comparison.low, one.comparison.high)])
        nothing = 1.0 if scale == "ratio" else 0.0
        panel.axvline(nothing, color=INK, linewidth=0.8)
        if decided.claim.margin is not None and scale != "correlation":
            edges = (
                (1 / decided.claim.margin, decided.claim.margin)
                if scale == "ratio"
                else (-decided.claim.margin, decided.claim.margin)
            )
            panel.axvspan(*edges, color=GREY, alpha=0.12, linewidth=0)
        panel.set_xlabel(_WORDS[scale])
        panel.grid(axis="x", color="#ececec", linewidth=0.6)
        panel.set_axisbelow(True)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _logarithmic(panel: Axes, ends: list[float]) -> None:
    """Make the x axis logarithmic, with a few plain numbers: round ones, or powers of ten where it is long."""
    panel.set_xscale("log")
    long = max(*ends, 1.0) > _LONG * min(*ends, 1.0)
    panel.xaxis.set_major_locator(LogLocator(numticks=_TICKS) if long else MaxNLocator(_TICKS))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
