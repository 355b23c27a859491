"""Plot the final quality of all methods on a data set: a forest plot with means, intervals and every seed as a dot."""

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.base import Subject, plot
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.look import paper_width, points
from lipschitz.report.plots.panels import columns_of, fit_axis, panels
from lipschitz.report.plots.rows import Rows, broken, in_width
from lipschitz.report.reading.comparisons import slug
from lipschitz.report.reading.metric_names import heading
from lipschitz.report.statistics.final_quality import Contest, FinalQuality, Method
from lipschitz.report.statistics.geometric import is_geometric
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.statistics.significance import LEVEL
from lipschitz.report.style import GREY, Style, family_of, styles
from lipschitz.tasks.wording import wording

_ROW = 0.18
_LABEL_SHARE = 0.43
_TITLE_WIDTH = 2.6
"""Inches of the longest line of a panel's title on the page."""
_FOOT = 0.7
"""Rows below the last method, for the name of the floor."""
_SEED_BELOW = 0.24
"""Distance of the dots of seeds below their mean, in rows."""
_NARROW = 4.0
"""Inches of a paper's figure below which it has one panel of many methods and no titles: to fit its page."""
_GROUPED = 8
"""Methods above which rows stand under the titles of their families."""


class _Row(NamedTuple):
    """A method, or the title of a family where ``constraint`` is empty."""

    name: str
    constraint: str = ""


def each_dataset(sweep: SweepData) -> Iterator[Subject[FinalQuality]]:
    """Yield the final quality on every data set; in a paper's column one contest of many methods at a time."""
    names = [slug(one.shown) for one in sweep.final_quality]
    for place, one in enumerate(sweep.final_quality):
        number = names[:place].count(names[place])
        name = names[place] + (f"_{number + 1}" if number else "")
        many = max(len(contest.methods) for contest in one.contests) > _GROUPED
        if many and len(one.contests) > 1 and _is_narrow():
            for index, contest in enumerate(one.contests, 1):
                yield Subject(replace(one, contests=[contest]), f"{name}_{index}", f"{one.shown}, {contest.title}")
        else:
            yield Subject(one, name, one.shown)


def final_quality_table(found: FinalQuality) -> pd.DataFrame:
    """Return every seed of every method: contest, constraint, family, metric, seed's value, n, mean, low, high."""
    rows = [
        {
            "contest": contest.title,
            "method": method.name,
            "family": family_of(method.constraint).title,
            "metric": found.metric,
            "value": value,
            "n": method.interval.n,
            "mean": method.interval.mean,
            "low": method.interval.low,
            "high": method.interval.high,
            "significantly_worse": contest.is_worse(method),
        }
        for contest in found.contests
        for method in contest.methods
        for value in method.seeds or (math.nan,)
    ]
    return pd.DataFrame(rows)


@plot("Final quality of every method", order=0, scope=each_dataset, table=final_quality_table)
def final_quality(found: FinalQuality) -> Figure | None:
    """Return one panel a contest, all with the same rows: methods sorted by the first panel that has them.

    Above eight methods the rows are grouped by family, and the family with the best method comes first.
    """
    if not any(math.isfinite(method.interval.mean) for contest in found.contests for method in contest.methods):
        return None
    rows = _rows(found)
    names = [row.name for row in rows]
    title = f"Final quality  ·  {found.shown}"
    titles = [_broken_title(contest.title) for contest in found.contests]
    # In a paper titles and labels may take a second line.
    lines = max(text.count("\n") + (paper_width() is not None and bool(text)) for text in titles)
    layout = Rows.of(names, _ROW, _LABEL_SHARE, [place for place, row in enumerate(rows) if not row.constraint])
    figure, axes = panels(
        len(found.contests),
        3,
        title,
        _subtitle(found),
        size=(3.0 if len(found.contests) > 1 else 4.2, layout.tall(_FOOT)),
        gap=(0.2, 0.62 + 0.14 * lines),
        left=layout.margin,
        above=0.2 + 0.14 * lines,
        bottom=0.55 if paper_width() is None else 0.7,
        height="rows",
    )
    looks = styles(method.constraint for contest in found.contests for method in contest.methods)
    has_tests = any(contest.compared for contest in found.contests)
    for index, (contest, text, panel) in enumerate(zip(found.contests, titles, axes, strict=True)):
        _set_axis(panel, found)
        by_name = {method.name: method for method in contest.methods}
        for place, row in zip(layout.places, rows, strict=True):
            if row.name in by_name and row.constraint:
                _draw(panel, place, by_name[row.name], contest, looks[row.constraint], has_tests=has_tests)
        panel.set_title(in_width(panel, text))
        layout.label(panel, shown=index % columns_of(axes) == 0, foot=_FOOT)
        panel.grid(axis="x", color="#ececec", linewidth=0.6)
        panel.set_axisbelow(True)
        is_lowest = index + columns_of(axes) >= len(axes)
        panel.set_xlabel(in_width(panel, heading(found.metric)) if is_lowest else "")
    return figure


def _is_narrow() -> bool:
    return (paper_width() or math.inf) < _NARROW


def _rows(found: FinalQuality) -> list[_Row]:
    """Return the rows from top to bottom."""
    worst, sign = math.inf, 1 if found.is_lower_better else -1
    scores: dict[str, float] = {}
    constraints: dict[str, str] = {}
    for contest in found.contests:
        for method in contest.methods:
            mean = method.interval.mean
            scores.setdefault(method.name, sign * mean if math.isfinite(mean) else worst)
            constraints[method.name] = method.constraint
    order = sorted(scores, key=lambda name: scores[name])
    if len(order) <= _GROUPED:
        return [_Row(name, constraints[name]) for name in order]
    families = list(dict.fromkeys(family_of(constraints[name]).title for name in order))
    rows = []
    for family in families:
        own = [name for name in order if family_of(constraints[name]).title == family]
        rows += [_Row(family)] if not _is_narrow() else []
        rows += [_Row(name, constraints[name]) for name in own]
    return rows


def _subtitle(found: FinalQuality) -> str:
    counts = {method.interval.n for contest in found.contests for method in contest.methods if method.interval.n}
    kind = "geometric mean" if is_geometric(found.metric) else "mean"
    text = f"After the last step, {kind} over {_number_of_seeds(counts)}; small dots: the seeds."
    text += f" Line: {MEAN.short}, cut at the panel's edge.\n"
    if counts == {1}:
        text = "After the last step; one seed, and so no interval.\n"
    if any(contest.compared for contest in found.contests):
        text += "Filled: not significantly worse than the best mean of its panel; open: significantly worse "
        text += f"(Welch's test at {100 * LEVEL:g} %, Holm's correction)."
        if any(contest.is_worse(method) is None for contest in found.contests for method in contest.methods):
            text += " Cross: not tested."
    else:
        text += "Nothing was tested for significance."
    return text


def _number_of_seeds(counts: Collection[int]) -> str:
    return f"{min(counts)} seeds" if len(counts) == 1 else f"{min(counts, default=0)} to {max(counts, default=0)} seeds"


def _set_axis(panel: Axes, found: FinalQuality) -> None:
    """Set the axis by all means, seeds and, where the task's axes reach it, the floor; draw the floor."""
    task, methods = wording(found.task), [method for contest in found.contests for method in contest.methods]
    values = [value for method in methods for value in (method.interval.mean, *method.seeds)]
    fit_axis(panel, "x", [*values, found.floor if task.axes_reach_floor else math.nan], margins=(0.05, 0.06))
    low, high = panel.get_xlim()
    if not low <= found.floor <= high:
        return
    panel.axvline(found.floor, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    is_right = panel.transData.transform((found.floor, 0))[0] > panel.transAxes.transform((0.5, 0))[0]
    panel.annotate(
        task.floor,
        (found.floor, 0),
        xycoords=("data", "axes fraction"),
        xytext=(-3 if is_right else 3, 3),
        textcoords="offset points",
        ha="right" if is_right else "left",
        fontsize=points(7.5),
        color=GREY,
    )


def _draw(panel: Axes, place: float, method: Method, contest: Contest, style: Style, *, has_tests: bool) -> None:
    """Draw a method; where ``has_tests``, those of some panel were tested, and a filled circle says with which end."""
    interval, (left, right) = method.interval, panel.get_xlim()
    if interval.has_ends:
        panel.hlines(place, max(interval.low, left), min(interval.high, right), color=style.colour, linewidth=1.4)
    look: dict[str, Any] = {"color": style.colour, "linestyle": "", "clip_on": False}
    below = [place + _SEED_BELOW] * len(method.seeds)
    panel.plot(method.seeds, below, marker=".", markersize=3.6, alpha=0.8, markeredgewidth=0, **look)
    is_worse = contest.is_worse(method)
    marker = "x" if is_worse is None and has_tests else "o"
    face = "white" if is_worse else style.colour
    panel.plot(interval.mean, place, marker=marker, markersize=4.6, markerfacecolor=face, markeredgewidth=1.0, **look)
    if method.diverged + method.failed:
        text = ", ".join(f"{n} {word}" for n, word in ((method.diverged, "diverged"), (method.failed, "failed")) if n)
        at: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "xytext": (-2, 0)}
        panel.annotate(text, (1, place), ha="right", va="center", fontsize=points(7), color=GREY, **at)


def _broken_title(text: str) -> str:
    """Return the title of a panel in lines: one for each part that tells it from the others, or more if it is long."""
    parts = text.replace("), ", "),\n").replace(", setting", ",\nsetting").split("\n")
    return "\n".join(broken(part, _TITLE_WIDTH) for part in parts)
