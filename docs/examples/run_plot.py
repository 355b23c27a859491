"""A plot of your own: one figure for each comparison of a sweep."""

from matplotlib.figure import Figure

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData


@plot("Number of runs by constraint", order=200)
def run_counts(data: ComparisonData) -> Figure | None:
    """Return a bar for each constraint, or None if there is nothing to compare."""
    counts = data.runs["constraint"].value_counts()
    if len(counts) < 2:
        return None
    figure = Figure()
    figure.add_subplot().barh(list(counts.index), list(counts))
    return figure
