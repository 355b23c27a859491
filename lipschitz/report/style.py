"""Colour, marker and order of constraints, the same in every figure and table."""

from collections.abc import Iterable
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


# Okabe and Ito 2008, "Color universal design", without its yellow, which is too faint for a line on white. The colour
# shows where a method acts, the marker which method it is.
_PROJECTED, _GRADIENTS, _PENALISED, _NORMALISED = "#E69F00", "#0072B2", "#009E73", "#D55E00"
_CERTIFIED, _LAYERS, _OUTPUTS = "#CC79A7", "#7F7F7F", "#56B4E9"
_FIXED = {
    "none": Style("#000000", "o"),
    "weight_clipping": Style(_PROJECTED, "s"),
    "frobenius_clipping": Style(_PROJECTED, "P"),
    "spectral_projection": Style(_PROJECTED, "X"),
    "spectral_cap": Style(_PROJECTED, "h"),
    "gouk_projection": Style(_PROJECTED, "*"),
    "gradient_penalty": Style(_GRADIENTS, "^"),
    "zero_centered_penalty": Style(_GRADIENTS, "<"),
    "zero_gp": Style(_GRADIENTS, "D"),
    "max_gradient_penalty": Style(_GRADIENTS, "s"),
    "adversarial_lipschitz_penalty": Style(_GRADIENTS, "*"),
    "wasserstein_divergence": Style(_GRADIENTS, ">"),
    "gradient_normalization": Style(_GRADIENTS, "h"),
    "spectral_regularization": Style(_PENALISED, "D"),
    "orthonormal_regularization": Style(_PENALISED, "p"),
    "frobenius_penalty": Style(_PENALISED, "d"),
    "lecam_regularization": Style(_OUTPUTS, "o"),
    "consistency_regularization": Style(_OUTPUTS, "s"),
    "spectral_normalization": Style(_NORMALISED, "v"),
    "spectral_compensation": Style(_NORMALISED, "^"),
    "spectral_budget": Style(_NORMALISED, "*"),
    "weight_normalization": Style(_NORMALISED, "P"),
    "frobenius_normalization": Style(_NORMALISED, "X"),
    "orthogonal": Style(_CERTIFIED, "D"),
    "bjorck": Style(_CERTIFIED, "s"),
    "aol": Style(_CERTIFIED, "^"),
    "gram_normalization": Style(_CERTIFIED, "v"),
    "aoc": Style(_CERTIFIED, "o"),
    "cpl": Style(_CERTIFIED, "P"),
    "sll": Style(_CERTIFIED, "X"),
    "soc": Style(_CERTIFIED, "*"),
    "cayley": Style(_CERTIFIED, "<"),
    "lot": Style(_CERTIFIED, ">"),
    "sandwich": Style(_CERTIFIED, "h"),
    "layer_normalization": Style(_LAYERS, "s"),
    "batch_normalization": Style(_LAYERS, "o"),
}
KNOWN = tuple(_FIXED)
"""Methods in the order in which they are shown."""
_COLOURS = ("#56B4E9", "#882255", "#44AA99", "#332288", "#999933", "#AA4499", "#117733")
_MARKERS = ("P", "X", "*", "<", ">", "h", "p", "d")


def ordered(constraints: Iterable[str]) -> list[str]:
    """Return distinct labels: the known methods first, each followed by its variants, then all others by name."""

    def rank(label: str) -> tuple[int, str]:
        method = bare_name(label)
        return (KNOWN.index(method) if method in KNOWN else len(KNOWN), label)

    return sorted(set(constraints), key=rank)


def styles(constraints: Iterable[str]) -> dict[str, Style]:
    """Return the style of each label: fixed for the known methods, by order for the others.

    A variant of a known method, such as ``weight_clipping(c=0.04)``, has the style of the method where it is the only
    label of that method.
    """
    labels = ordered(constraints)
    methods = [_method(label) for label in labels]
    known = {
        label: _FIXED[name] for label, name in zip(labels, methods, strict=True) if methods.count(name) == 1 and name
    }
    known |= {label: _FIXED[label] for label in labels if label in _FIXED}
    others = [label for label in labels if label not in known]
    free = {label: Style(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]) for i, label in enumerate(others)}
    return {label: known.get(label) or free[label] for label in labels}


def _method(label: str) -> str:
    """Return the known method of ``label``; an empty string for other methods and for combinations."""
    name = bare_name(label)
    return name if name in _FIXED and "+" not in label else ""
