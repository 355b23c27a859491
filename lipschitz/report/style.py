"""Colour, marker and order of constraints, the same in every figure and table."""

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import NamedTuple

from lipschitz.report.reading.display_names import bare_name

GREY = "#6b6b6b"
INK = "#222222"

REAL = "real data"
"""Name of the floor: the metric between real data and other real data."""


class Style(NamedTuple):
    """Colour and marker of a constraint."""

    colour: str
    marker: str


class Family(NamedTuple):
    """Methods that act on the same thing: they share a hue, and each has a shade of its own."""

    title: str
    methods: tuple[str, ...]
    colours: tuple[str, ...]


# The first colour of each hue is from Okabe and Ito 2008, "Color universal design". The shades of a family are at least
# 0.08 apart in OKLab (Ottosson 2020), about four times what is just told apart; neighbours in the list are far apart.
FAMILIES = (
    Family("no constraint", ("none",), ("#000000",)),
    Family(
        "projected weights",
        ("weight_clipping", "frobenius_clipping", "spectral_projection", "spectral_cap", "gouk_projection"),
        ("#E69F00", "#363501", "#9B5905", "#969553", "#595702", "#D07803", "#BCBC79", "#7F7C0B"),
    ),
    Family(
        "input gradients",
        (
            "gradient_penalty",
            "zero_centered_penalty",
            "zero_gp",
            "max_gradient_penalty",
            "adversarial_lipschitz_penalty",
            "wasserstein_divergence",
            "gradient_normalization",
        ),
        ("#0072B2", "#A6B3F4", "#231986", "#7484F6", "#085066", "#0EADDA", "#3D43AF", "#6384BC", "#063361"),
    ),
    Family(
        "penalised weights or outputs",
        (
            "spectral_regularization",
            "orthonormal_regularization",
            "frobenius_penalty",
            "lecam_regularization",
            "consistency_regularization",
        ),
        ("#009E73", "#003C37", "#95CB54", "#276404", "#16D3C3", "#8BA96E", "#0C6F66", "#59880B"),
    ),
    Family(
        "normalised weights",
        (
            "spectral_normalization",
            "spectral_compensation",
            "spectral_budget",
            "weight_normalization",
            "frobenius_normalization",
        ),
        ("#D55E00", "#5F101C", "#F69A9D", "#B40033", "#823E0D", "#FF5E6E", "#FF8330", "#AF5B5F"),
    ),
    Family(
        "certified layers",
        (
            "orthogonal",
            "bjorck",
            "aol",
            "gram_normalization",
            "aoc",
            "cpl",
            "sll",
            "soc",
            "cayley",
            "lot",
            "sandwich",
            "bcop",
        ),
        (
            *("#CC79A7", "#3E017F", "#990254", "#7847D0", "#BDA7FF", "#59123A"),
            *("#BC39A1", "#A96BF4", "#664182", "#FE86E1", "#9D4E6B", "#8467AD"),
        ),
    ),
    Family(
        "normalised layers",
        ("layer_normalization", "batch_normalization", "instance_normalization"),
        ("#7F7F7F", "#484848", "#B7B7B7", "#5F5F5F"),
    ),
)
"""Families of methods, in the order in which they are shown."""
_COLOURS = ("#56B4E9", "#882255", "#44AA99", "#332288", "#999933", "#AA4499", "#117733")
COMBINED = Family("combinations", (), _COLOURS[2:] + _COLOURS[:2])
OTHERS = Family("other methods", (), _COLOURS)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p", "d")
KNOWN = tuple(method for family in FAMILIES for method in family.methods)
"""Methods in the order in which they are shown."""
# The first methods of all families have different markers, so that they are told apart without colour, too.
_FIXED = {
    method: Style(colour, _MARKERS[(start + place) % len(_MARKERS)])
    for start, family in enumerate(FAMILIES)
    for place, (method, colour) in enumerate(zip(family.methods, family.colours, strict=False))
}


def ordered(constraints: Iterable[str]) -> list[str]:
    """Return distinct labels: the known methods first, each followed by its variants, then all others by name."""

    def rank(label: str) -> tuple[int, str]:
        method = bare_name(label)
        return (KNOWN.index(method) if method in KNOWN else len(KNOWN), label)

    return sorted(set(constraints), key=rank)


def family_of(label: str) -> Family:
    """Return the family of a method or of its variant; combinations and unknown methods have families of their own."""
    if "+" in label:
        return COMBINED
    return next((family for family in FAMILIES if bare_name(label) in family.methods), OTHERS)


def styles(constraints: Iterable[str]) -> dict[str, Style]:
    """Return the style of each label: fixed for the known methods, in shades of their family for their variants.

    A variant of a known method, such as ``weight_clipping(c=0.04)``, has the style of the method where it is the only
    label of that method. Styles repeat only where a family has
    no other left: after more than 80 variants.
    """
    labels = ordered(constraints)
    methods = [_method(label) for label in labels]
    found = {
        label: _FIXED[name] for label, name in zip(labels, methods, strict=True) if methods.count(name) == 1 and name
    }
    found |= {label: _FIXED[label] for label in labels if label in _FIXED}
    free = {family: _free_styles(family, set(found.values())) for family in (*FAMILIES, COMBINED, OTHERS)}
    for label in labels:
        if label not in found:
            found[label] = next(free[family_of(label)])
    return {label: found[label] for label in labels}


def _free_styles(family: Family, taken: set[Style]) -> Iterator[Style]:
    """Yield the styles of a family that no label and no known method has, unused colours first, again and again."""
    used = {style.colour for style in taken}
    colours = sorted(family.colours, key=lambda colour: colour in used)
    fixed = {_FIXED[method] for method in family.methods}
    every = [Style(colour, marker) for marker in reversed(_MARKERS) for colour in colours]
    return cycle([style for style in every if style not in fixed | taken] or every)


def _method(label: str) -> str:
    """Return the known method of ``label``; an empty string for other methods and for combinations."""
    name = bare_name(label)
    return name if name in _FIXED and "+" not in label else ""
