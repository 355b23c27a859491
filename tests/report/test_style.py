"""Colours, markers and the order of methods in figures."""

from lipschitz.report.style import KNOWN, ordered, styles


def test_a_known_method_has_the_same_style_in_every_figure() -> None:
    alone = {name: styles([name])[name] for name in KNOWN}
    assert styles([*KNOWN, "lipschitz_dropout", "a+b(c=0.5)"]).items() >= alone.items()


def test_known_methods_have_different_styles_and_families_share_a_colour() -> None:
    looks = styles(KNOWN)
    assert len(set(looks.values())) == len(KNOWN)
    assert looks["bjorck"].colour == looks["aol"].colour != looks["none"].colour


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
