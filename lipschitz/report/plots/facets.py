"""Small multiples: many methods are drawn family by family, each family over the lines of all others in grey."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.lines import LABEL_HEIGHT, label_margin, labels_height
from lipschitz.report.plots.look import paper_width
from lipschitz.report.plots.panels import DoesNotFitError, columns_of, panels
from lipschitz.report.style import FAMILIES, family_of

MOST_LINES = 8
"""Methods above which lines in one panel cannot be told apart, so that each family has panels of its own."""
MOST_KEYS = 3
"""Most quantities in a figure of several families."""
_MOST_IN_FACET, _FEWEST = 7, 3
_PAPER_MARGIN = 0.8
"""Inches left of a panel in a paper's figure."""
_TITLE_WIDTH = 20
"""Characters of a family's title beside one panel."""
_REFERENCE = "none"


class Facet(NamedTuple):
    """Methods that are drawn in colour in one panel; ``title`` is empty where these are all methods."""

    title: str
    names: list[str]


class Cell(NamedTuple):
    """One panel of a grid: whose methods it shows, of which quantity, and what is written around it."""

    facet: Facet
    key: str
    panel: Axes
    y_label: str
    is_lowest: bool
    is_labelled: bool
    """Whether the names of the methods stand right of it."""


def facets(names: Sequence[str], constraints: Mapping[str, str] | None = None) -> list[Facet]:
    """Return the methods in one facet, or more than `MOST_LINES` by family, with small families in a common facet.

    The method ``none`` is in no family's facet: it is a black line in each. ``constraints`` has the constraint of each
    name where this is another word.
    """
    if len(names) <= MOST_LINES:
        return [Facet("", list(names))]
    by_family: dict[str, list[str]] = {}
    for name in names:
        if name != _REFERENCE:
            by_family.setdefault(family_of((constraints or {}).get(name, name)).title, []).append(name)
    order = [family.title for family in FAMILIES]
    large = [(title, found) for title, found in by_family.items() if len(found) >= _FEWEST]
    large.sort(key=lambda part: order.index(part[0]) if part[0] in order else len(order))
    small = [name for found in by_family.values() if len(found) < _FEWEST for name in found]
    parts = [*large, *([("others", small)] if small else [])]
    return [Facet(title, part) for title, found in parts for part in _split(found)]


def facets_note(found: Sequence[Facet], names: Sequence[str], keys: Sequence[str] = ()) -> str:
    """Return the lines of a subtitle that explain grey and black lines; empty where all methods share a panel."""
    if len(found) == 1:
        return ""
    black = f" Black: {_REFERENCE}." if _REFERENCE in names else ""
    left_out = f" The csv file has all {len(keys)} quantities." if len(keys) > MOST_KEYS else ""
    return f"\nEach row of panels shows one family of methods; grey: all others.{black}{left_out}"


def facet_grid(
    found: Sequence[Facet],
    headings: Mapping[str, str],
    labels: Mapping[str, str],
    title: str,
    subtitle: str,
    *,
    most_columns: int = 3,
    size: tuple[float, float] = (3.0, 2.2),
    margin: float = 0.75,
    **layout: Any,
) -> tuple[Figure, list[Cell]]:
    """Return a figure with one panel for each facet and quantity, and its panels.

    In a paper's figure several facets show the first quantity alone: a page has no room for more.

    Args:
        found: the facets; one facet has its quantities side by side, several have a row each.
        headings: by quantity, its name.
        labels: by method, the text right of its line.
        title: first line of the figure.
        subtitle: further lines.
        most_columns: of panels of one facet.
        size: width and height in inches of the panels of one facet.
        margin: inches for the ticks and the label left of a panel.
        layout: further arguments of `panels`.
    """
    names, keys = [labels[name] for facet in found for name in facet.names], list(headings)
    right = label_margin(names, at_ends=len(found) > 1)
    if len(found) == 1:
        tall = (size[0], max(size[1], LABEL_HEIGHT * len(names)))
        figure, axes = panels(
            len(keys), most_columns, title, subtitle, size=tall, gap=(margin, 0.75), left=margin, right=right, **layout
        )
        last = columns_of(axes) - 1
        return figure, [
            Cell(found[0], key, panel, headings[key], True, index == last or most_columns == 1)
            for index, (key, panel) in enumerate(zip(keys, axes, strict=True))
        ]
    is_paper = paper_width() is not None
    keys = keys[: 1 if is_paper else MOST_KEYS]
    margin = _PAPER_MARGIN if is_paper else margin
    height = max(1.25, *(labels_height([labels[name] for name in facet.names]) for facet in found))
    columns, gap = (2, margin + right) if len(keys) == 1 else (len(keys), margin)
    layout |= {"size": (2.6, height), "gap": (gap, 0.32 if len(keys) > 1 else 0.42), "above": 0.2, "height": "rows"}
    figure, axes = panels(len(found) * len(keys), columns, title, subtitle, left=margin, right=right, **layout)
    if columns_of(axes) < columns:
        raise DoesNotFitError
    return figure, [
        _cell(panel, found[index // len(keys)], keys, headings, index, (columns, len(axes)))
        for index, panel in enumerate(axes)
    ]


def _cell(
    panel: Axes, facet: Facet, keys: list[str], headings: Mapping[str, str], index: int, grid: tuple[int, int]
) -> Cell:
    """Return a panel of several families: with several quantities in columns, or families side by side with one."""
    columns, number = grid
    key, is_left = keys[index % len(keys)], index % columns == 0
    several = len(keys) > 1
    panel.set_title((headings[key] if index < columns else "") if several else facet.title)
    y_label = (fill(facet.title, _TITLE_WIDTH) if several else headings[key]) if is_left else ""
    is_labelled = not several or index % columns == columns - 1
    return Cell(facet, key, panel, y_label, index + columns >= number, is_labelled)


def _split(names: list[str]) -> list[list[str]]:
    """Return ``names`` in parts of equal length, each at most `_MOST_IN_FACET`."""
    parts = -(-len(names) // _MOST_IN_FACET)
    length = -(-len(names) // parts)
    return [names[start : start + length] for start in range(0, len(names), length)]
