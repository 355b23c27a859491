"""The W1 that each critic certifies, and the one that it claims, as the dimension grows."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.dimensions import Series, dashes_said, over_dimensions, seeds_said
from lipschitz.report.plots.panels import horizontal, scale
from lipschitz.report.published.critics import Family
from lipschitz.report.published.work import TRUE, published


def w1_by_dimension(family: Family) -> Figure | None:
    """Return W1 by each critic over the true one against the dimension: over its certified bound, and as it is."""
    rows, theirs = _ratios(family), _published_ratios(family)

    def draw(panel: Axes, series: list[Series], _: int) -> None:
        shown = [*rows["mean"], *rows["raw"], *rows["steep"], *theirs["published"], 1.0]
        scale(panel, [value for value in shown if value > 0])
        bottom, top = panel.get_ylim()
        horizontal(panel, 1.0, "true W1")
        for one in series:
            low, high = (one.rows[name].clip(bottom, top) for name in ("mean", "steep"))
            panel.vlines(one.places(one.rows), low, high, color=one.style.colour, linewidth=2.5, alpha=0.35)
            one.mark_grey(panel, "raw")
            one.mark(panel, "mean")

    hollow = " Hollow: published, as it is, one seed." if len(theirs) else ""
    said = (
        f"Mean of D over P less that over Q, after the last step; {seeds_said(rows)}. Filled: of D divided by its "
        "certified bound on Lip(D), above W1 only by\nthe noise of sampling. Bar: divided by anything from that bound "
        f"to the steepest slope found. Grey: of D as it is, which certifies nothing.{hollow}{dashes_said(family)}"
    )
    return over_dimensions(family, rows, theirs, ("W1 by the critic", said, "W1 by the critic / true W1"), 0.5, draw)


def _ratios(family: Family) -> pd.DataFrame:
    """Return the W1 of the critics as ``raw``, over the upper bound as ``mean`` and over the lower as ``steep``.

    All are divided by the true W1; ``mean`` is NaN where a critic has no bound.
    """
    rows = family.values("w1_dual")
    rows = rows[rows["dataset"].isin(family.true_w1)]
    true = rows["dataset"].map(lambda name: family.true_w1[name][0])
    return rows.assign(
        raw=rows["mean"] / true,
        mean=family.values("w1_over_upper")["mean"] / true,
        steep=family.values("w1_over_lower")["mean"] / true,
    )


def _published_ratios(family: Family) -> pd.DataFrame:
    """Return the published W1 of the critics over the published true one."""
    rows, values = family.published_values("w1_dual"), published().values
    true = values[(values["method"] == TRUE) & (values["metric"] == "w1_dual")].set_index(["dim", "width"])["value"]
    rows = rows.join(true.rename("true"), on=["dim", "width"])
    return rows.assign(published=rows["published"] / rows["true"])
