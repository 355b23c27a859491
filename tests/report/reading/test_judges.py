"""A weak reference classifier is warned of, once for its data set."""

from lipschitz.report.reading.judges import weak_judges


def test_a_classifier_below_80_percent_is_warned_of_once() -> None:
    protocols = [
        ("cifar10", "frechet_classifier", {"accuracy": 0.6543}),
        ("cifar10", "kid_classifier", {"accuracy": 0.6543}),
        ("digits", "frechet_classifier", {"accuracy": 0.8}),
        ("faces", "fid/modern", {"protocol": "modern"}),
    ]
    (line,) = weak_judges(protocols)
    assert line.startswith("cifar10: its reference classifier is right on 65% of held-out images only (below 80%)")
