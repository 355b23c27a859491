"""Number of images behind each accuracy of a classifier, as its runs recorded it."""

from lipschitz.report.reading.metric_names import parse_metric
from lipschitz.report.reading.results import Results

_AS_TEST = "certified_accuracy_joint"
"""Metric that is measured on the images of ``accuracy/test``, and has no protocol of its own."""


def image_counts(results: Results, dataset: str) -> dict[str, int]:
    """Return by metric, such as ``pgd_accuracy/1``, how many images of ``dataset`` it is a share of.

    Where a metric was measured by several protocols, each has its name, ``accuracy/test [protocol 2]``.
    """
    protocols = results.protocols[results.protocols["dataset"] == dataset]
    counts = {
        str(name): int(facts["images"])
        for name, facts in zip(protocols["metric"], protocols["facts"], strict=True)
        if "images" in facts
    }
    joint = {name for name in results.outcomes["metric"].unique() if parse_metric(name).base == _AS_TEST}
    return counts | {name: counts["accuracy/test"] for name in sorted(joint) if "accuracy/test" in counts}
