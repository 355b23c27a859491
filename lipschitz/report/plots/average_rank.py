"""Plot the average rank of methods over all places of a sweep, and the probability that a run improves on `none`."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.base import Subject, plot
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.panels import columns_of, panels
from lipschitz.report.plots.rows import Rows, in_width
from lipschitz.report.statistics.average_rank import AverageRanks
from lipschitz.report.statistics.intervals import MEAN, SCORE
from lipschitz.report.style import GREY, family_of, styles

_ROW = 0.18
_LABEL_SHARE = 0.43


def the_sweep(sweep: SweepData) -> Iterator[Subject[AverageRanks]]:
    """Yield the average ranks of a sweep that has several places."""
    if sweep.average_ranks is not None:
        yield Subject(sweep.average_ranks, "all_places", f"{len(sweep.average_ranks.places)} places")


def average_rank_table(found: AverageRanks) -> pd.DataFrame:
    """Return a row a method: the average rank, the probability of improvement, their intervals, the rank of a place."""
    rows = []
    for method in found.methods:
        row: dict[str, Any] = {"method": method.name, "family": family_of(method.constraint).title}
        row |= {"average_rank": method.average.mean, "low": method.average.low, "high": method.average.high}
        if method.improvement is not None:
            row |= {f"improvement_{name}": value for name, value in method.improvement._asdict().items()}
        rows.append(row | dict(zip(found.places, method.ranks, strict=True)))
    return pd.DataFrame(rows)


@plot("Average rank over all places", order=5, scope=the_sweep, table=average_rank_table)
def average_rank(found: AverageRanks) -> Figure | None:
    """Return two panels with a row a method: average ranks with every place as a dot, probabilities of improvement."""
    layout = Rows.of([method.name for method in found.methods], _ROW, _LABEL_SHARE)
    figure, (ranks, chances) = panels(
        2,
        2,
        f"Average rank  ·  {len(found.places)} places",
        _subtitle(found),
        size=(3.0, layout.tall()),
        gap=(0.25, 0.62),
        left=layout.margin,
        bottom=0.55,
        height="rows",
    )
    looks = styles(method.constraint for method in found.methods)
    for place, method in zip(layout.places, found.methods, strict=True):
        colour = looks[method.constraint].colour
        _dots(ranks, method.ranks, place, colour)
        _mean(ranks, method.average.mean, (method.average.low, method.average.high), place, colour)
        if method.improvement is not None:
            chance = method.improvement
            _mean(chances, chance.probability, (chance.low, chance.high), place, colour)
    ranks.set_xlim(0.5, len(found.methods) + 0.5)
    chances.set_xlim(-0.03, 1.03)
    chances.axvline(0.5, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for panel, text in ((ranks, "average rank ↓"), (chances, f"P(better than {found.reference}) ↑")):
        panel.set_xlabel(in_width(panel, text))
        panel.grid(axis="x", color="#ececec", linewidth=0.6)
        panel.set_axisbelow(True)
        layout.label(panel, shown=panel is ranks or columns_of([ranks, chances]) == 1)
    return figure


def _subtitle(found: AverageRanks) -> str:
    return (
        f"Left: mean and {MEAN.short} of ranks; dots: the places, each a data set with one network, loss and setting.\n"
        f"Right: share of pairs of runs in which the method is better than {found.reference}, with {SCORE.short}."
    )


def _dots(panel: Axes, values: tuple[float, ...], place: float, colour: str) -> None:
    panel.plot(
        values, [place + 0.24] * len(values), marker=".", markersize=3.6, color=colour, linestyle="", markeredgewidth=0
    )


def _mean(panel: Axes, value: float, ends: tuple[float, float], place: float, colour: str) -> None:
    panel.hlines(place, ends[0], ends[1], color=colour, linewidth=1.4)
    panel.plot(value, place, marker="o", markersize=4.6, color=colour, linestyle="", clip_on=False)
