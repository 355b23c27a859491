"""Warn of numbers whose judge is weak: a reference classifier that misclassifies many held-out images."""

from collections.abc import Iterable, Mapping
from typing import Any

ACCURACY = 0.8
"""Accuracy on held-out images below which a reference classifier is warned of."""


def weak_judges(protocols: Iterable[tuple[str, str, Mapping[str, Any]]]) -> list[str]:
    """Return a warning for each data set whose reference classifier is weak.

    Args:
        protocols: data set, metric, and how the metric was measured; ``accuracy`` is that of the classifier.
    """
    found: dict[str, float] = {}
    for dataset, _, facts in protocols:
        accuracy = facts.get("accuracy")
        if isinstance(accuracy, int | float) and accuracy < ACCURACY:
            found[dataset] = float(accuracy)
    return [
        f"{dataset}: its reference classifier is right on {accuracy:.0%} of held-out images only (below "
        f"{ACCURACY:.0%}), so distances in its features say little; protocols such as modern do not need it"
        for dataset, accuracy in found.items()
    ]
