from lipschitz.report.style import KNOWN, ordered, styles


def test_known_methods_look_the_same_in_every_company() -> None:
    alone = {name: styles([name])[name] for name in KNOWN}
    assert styles([*KNOWN, "lipschitz_dropout", "a+b(c=0.5)"]).items() >= alone.items()


def test_no_two_known_methods_look_the_same_and_the_colour_is_the_family_s() -> None:
    looks = styles(KNOWN)
    assert len(set(looks.values())) == len(KNOWN)
    assert looks["bjorck"].colour == looks["aol"].colour != looks["none"].colour


def test_no_two_methods_of_a_sweep_look_the_same() -> None:
    labels = [*KNOWN, *(f"spectral_normalization(power_iterations={i})" for i in range(2, 30))]
    assert len(set(styles(labels).values())) == len(labels)


def test_the_only_variant_of_a_method_looks_like_it_and_two_do_not() -> None:
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
