"""A plot of your own: one figure for each comparison of a sweep."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData


@plot("Number of runs by constraint", order=200)
def run_counts(data: ComparisonData) -> Figure | None:
    """Return a bar for each constraint, or None if there is nothing to compare."""
    counts = data.runs["constraint"].value_counts()
    if len(counts) < 2:
        return None
    figure = Figure(figsize=(6, 1 + 0.3 * len(counts)), layout="constrained")
    axes = figure.add_subplot(title=f"{data.comparison.dataset}", xlabel="runs")
    axes.barh(list(counts.index), list(counts))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
