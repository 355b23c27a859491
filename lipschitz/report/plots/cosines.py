"""How well each critic's gradient points as the dimension grows, measured exactly and as the published code does."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.dimensions import Series, dashes_said, over_dimensions, seeds_said
from lipschitz.report.plots.panels import scale
from lipschitz.report.published.critics import Family
from lipschitz.report.reading.metric_names import heading
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.statistics.summary import AS_PUBLISHED
from lipschitz.report.style import GREY
from lipschitz.report.wording import wording


def cosine_by_dimension(family: Family) -> Figure | None:
    """Return the cosine to the optimal gradient against the dimension, one panel a number of funnels."""
    what = "Cosine to the optimal gradient"
    return _figure(family, "cosine", family.published_values("cosine").iloc[:0], what)


def cosine_as_published(family: Family) -> Figure | None:
    """Return the cosine as the published code measures it, and what was published; None where either is missing."""
    metric, theirs = AS_PUBLISHED["cosine"], family.published_values("cosine")
    if theirs.empty or family.values(metric).empty:
        return None
    said = "\nHollow: published, one seed. The optimal gradient is that of float32 distances, zero near a centre."
    return _figure(family, metric, theirs, "Cosine, measured as the published one,", said)


def _figure(family: Family, metric: str, theirs: pd.DataFrame, what: str, more: str = "") -> Figure | None:
    rows = family.values(metric)
    optimal = rows.drop_duplicates(["dim", "width"]).sort_values("dim")
    optimal = optimal.assign(floor=[family.floor_of(dataset, metric) for dataset in optimal["dataset"]])

    def draw(panel: Axes, series: list[Series], width: int) -> None:
        best = optimal[optimal["width"] == width]
        scale(panel, [*rows["mean"], *theirs["published"], *optimal["floor"], 1.0], linear=True)
        panel.plot(best["dim"], best["floor"], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        for one in series:
            mean, error = one.rows["mean"], one.rows["ci95"].fillna(0)
            panel.vlines(
                one.places(one.rows), mean - error, mean + error, color=one.style.colour, linewidth=1, alpha=0.7
            )
            one.mark(panel, "mean")

    interval = f", {MEAN.short}" if rows["ci95"].notna().any() else ""
    line = f" Grey line: the {wording('transport').floor} itself."
    said = f"After the last step: {seeds_said(rows)}{interval}.{line}{more}{dashes_said(family)}"
    return over_dimensions(family, rows, theirs, (what, said, heading(metric)), 0.2, draw)
