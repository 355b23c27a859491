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
