"""Colour and marker of each constraint, the same in every figure; and the order in which constraints are shown."""

from collections.abc import Iterable
from typing import NamedTuple

KNOWN = ("none", "weight_clipping", "gradient_penalty", "spectral_regularization", "spectral_normalization")

GREY = "#6b6b6b"
INK = "#222222"

REAL = "real data"
"""Name of the floor: what the metric says of real data against other real data."""


class Style(NamedTuple):
    """How a constraint looks."""

    colour: str
    marker: str


# Okabe and Ito 2008, "Color universal design"; its yellow is left out, being too faint for a line on white.
_FIXED = (
    Style("#000000", "o"),
    Style("#E69F00", "s"),
    Style("#0072B2", "^"),
    Style("#009E73", "D"),
    Style("#D55E00", "v"),
)
_COLOURS = ("#CC79A7", "#56B4E9", "#7F7F7F", "#882255", "#44AA99", "#332288", "#999933")
_MARKERS = ("P", "X", "*", "<", ">", "h", "p", "d")


def ordered(constraints: Iterable[str]) -> list[str]:
    """Return distinct labels: the known methods first, each followed by its variants, then all others by name."""

    def rank(label: str) -> tuple[int, str]:
        method = label.partition("(")[0]
        return (KNOWN.index(method) if method in KNOWN else len(KNOWN), label)

    return sorted(set(constraints), key=rank)


def styles(constraints: Iterable[str]) -> dict[str, Style]:
    """Return the style of each label: fixed for the known methods, by stable order for the others."""
    fixed = dict(zip(KNOWN, _FIXED, strict=True))
    labels = ordered(constraints)
    others = [label for label in labels if label not in fixed]
    free = {label: Style(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]) for i, label in enumerate(others)}
    return {label: fixed.get(label) or free[label] for label in labels}
