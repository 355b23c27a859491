"""Notes under tables of classifiers: how many images each accuracy is a share of, and which images chose."""

from collections.abc import Iterable, Mapping

import pandas as pd

from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.image_counts import image_counts
from lipschitz.report.reading.metric_names import parse_metric
from lipschitz.report.reading.results import Results

_ATTACKED = {"pgd_accuracy": "PGD", "fgsm_accuracy": "FGSM", "certified_accuracy": "certified accuracy"}
_PARTS = {"validation": "validation", "train": "training", "test": "test"}


def images_of(counts: Mapping[str, int], metrics: Iterable[str]) -> str:
    """Return ``200 test images``, or the range of numbers behind ``metrics``; empty where runs did not record any."""
    numbers = sorted({counts[name] for name in metrics if name in counts})
    return f"{' to '.join(map(str, dict.fromkeys([numbers[0], numbers[-1]])))} test images" if numbers else ""


def image_notes(results: Results, group: pd.DataFrame, dataset: str) -> list[str]:
    """Return a line on the numbers of test images, and one on what chose; none where runs recorded neither.

    Args:
        results: of the sweep.
        group: one row a configuration, with its labels.
        dataset: its label.
    """
    counts, notes = image_counts(results, dataset), []
    if tested := images_of(counts, [name for name in counts if parse_metric(name).recorded == "accuracy/test"]):
        parts = {
            title: images_of(counts, [name for name in counts if parse_metric(name).base == base])
            for base, title in _ATTACKED.items()
        }
        attacked = "".join(f"; {title}: {text}" for title, text in parts.items() if text)
        notes.append(f"Accuracy and loss: {tested}{attacked}.")
    names = {results.configurations[tuple(row[LABELS])] for _, row in group.iterrows()}
    steps = sorted({results.best_by[name] for name in names if name in results.best_by})
    settings = sorted({choice["metric"] for choice in results.chosen if choice["group"].get("dataset") == dataset})
    chose = [
        f"{what} by {' or '.join(metric + _part(counts, metric) for metric in metrics)}"
        for what, metrics in (("the best step of a run", steps), ("settings", settings))
        if metrics
    ]
    if chose:
        untouched = all(parse_metric(name).place != "test" for name in (*steps, *settings))
        notes.append(f"Chosen: {'; '.join(chose)}{'; nothing by test images' if untouched else ''}.")
    return notes


def _part(counts: Mapping[str, int], metric: str) -> str:
    """Return `` (90 validation images)``; empty where the number is not known."""
    number, part = counts.get(metric), _PARTS.get(parse_metric(metric).place)
    return f" ({number} {part} images)" if number and part else ""
