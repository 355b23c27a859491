"""Colours, markers and the order of methods in figures."""

from itertools import combinations

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from lipschitz.report.style import COMBINED, FAMILIES, KNOWN, OTHERS, family_of, ordered, styles


def test_a_known_method_has_the_same_style_in_every_figure() -> None:
    alone = {name: styles([name])[name] for name in KNOWN}
    assert styles([*KNOWN, "lipschitz_dropout", "a+b(c=0.5)"]).items() >= alone.items()


def test_methods_of_one_family_have_colours_that_are_told_apart() -> None:
    looks = styles(KNOWN)
    assert len(set(looks.values())) == len(KNOWN)
    for family in FAMILIES:
        colours = [looks[method].colour for method in family.methods]
        distances = [np.linalg.norm(oklab(one) - oklab(other)) for one, other in combinations(colours, 2)]
        assert min(distances, default=1.0) > 0.08, family.title


def oklab(colour: str) -> NDArray[np.float64]:
    """Return the coordinates of a colour in OKLab, https://bottosson.github.io/posts/oklab."""
    srgb = np.array(to_rgb(colour))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    axes = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(axes) @ np.cbrt(np.array(cones) @ linear)


def test_a_family_holds_the_variants_of_its_methods_and_not_their_combinations() -> None:
    assert family_of("bjorck(iterations=3)").title == "certified layers"
    assert family_of("bjorck+gradient_penalty") is COMBINED
    assert family_of("mine") is OTHERS
    variants = [f"gradient_penalty(weight={weight})" for weight in (1, 5, 10)]
    blues = next(family.colours for family in FAMILIES if "gradient_penalty" in family.methods)
    assert {styles(variants)[name].colour for name in variants} <= set(blues)
    assert len({styles(variants)[name].colour for name in variants}) == 3


def test_all_methods_of_a_sweep_have_different_styles() -> None:
    labels = [*KNOWN, *(f"spectral_normalization(power_iterations={i})" for i in range(2, 30))]
    assert len(set(styles(labels).values())) == len(labels)


def test_a_single_variant_has_the_style_of_its_method_and_two_variants_have_not() -> None:
    clipping, other = "weight_clipping(c=0.04)", "weight_clipping(c=0.1)"
    fixed = styles(["weight_clipping"])["weight_clipping"]
    assert styles([clipping, "none"])[clipping] == fixed
    assert fixed not in styles([clipping, other]).values()
    assert (
        styles(["weight_clipping", clipping])["weight_clipping"]
        == fixed
        != styles(["weight_clipping", clipping])[clipping]
    )
    combined = "weight_clipping(c=0.04)+gradient_penalty"
    assert styles([combined])[combined] != fixed


def test_order_is_fixed_and_variants_follow_their_method() -> None:
    labels = ["zeta", "spectral_normalization", "gradient_penalty(one_sided=True)", "gradient_penalty", "none", "alpha"]
    assert ordered(reversed(labels)) == [
        "none",
        "gradient_penalty",
        "gradient_penalty(one_sided=True)",
        "spectral_normalization",
        "alpha",
        "zeta",
    ]
