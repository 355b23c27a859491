"""Table of robustness: the best, the median and the worst setting of each method."""

import math
from statistics import median

from lipschitz.report.number_format import MISSING, show
from lipschitz.report.reading.metric_names import better, heading
from lipschitz.report.statistics.geometric import IN_WORDS
from lipschitz.report.statistics.robustness import Method, Settings
from lipschitz.report.tables.table import Cell, Column, Table


def table(settings: Settings) -> Table:
    """Return a row a method: how many of its settings diverged, and by metric its best, median and worst setting.

    A setting is judged by its mean over seeds. One at which a seed diverged, or finished without a finite value, is
    worse than all others; the choice of settings uses the same rule.
    """
    columns = [Column("Constraint", numeric=False), Column("Settings"), Column("Diverged")]
    columns += [
        Column(head, heading(metric)) for metric in settings.metrics for head in ("best", "median", "worst", "range")
    ]
    rows = []
    for method in settings.methods:
        if labels := settings.settings_of(method):
            diverged = sum(settings.counts(method, label)[1] > 0 for label in labels)
            texts = [settings.name(method), str(len(labels)), str(diverged)]
            texts += [text for metric in settings.metrics for text in _best_to_worst(settings, method, metric)]
            rows.append([Cell(text) for text in texts])
    title = f"Robustness over settings: {settings.title}"
    return Table("", "", "", title, columns, rows, _notes(settings), _caption(settings))


def _best_to_worst(settings: Settings, method: Method, metric: str) -> list[str]:
    """Return the texts of best, median, worst and range."""
    sign = 1 if better(metric) == "lower" else -1
    costs = {label: _cost(settings, method, label, metric, sign) for label in settings.settings_of(method)}
    costs = {label: cost for label, cost in costs.items() if not math.isnan(cost)}
    if not costs:
        return [MISSING] * 4
    failure = _failure(settings, method, metric, list(costs))
    best, worst, middle = min(costs.values()), max(costs.values()), median(costs.values())
    ends = []
    for value in (best, worst):
        names = ", ".join(settings.setting_names[label] for label, cost in costs.items() if cost == value)
        ends.append(f"{_value(sign, value, failure)} ({names})")
    spread = show(worst - best) if math.isfinite(worst) else MISSING
    return [ends[0], _value(sign, middle, failure), ends[1], spread]


def _cost(settings: Settings, method: Method, label: str, metric: str, sign: int) -> float:
    """Return the mean, negative if higher is better: infinite if a seed failed, NaN if there is no value."""
    if any(settings.failures(method, label, metric)):
        return math.inf
    return sign * settings.interval(method, label, metric).mean


def _failure(settings: Settings, method: Method, metric: str, labels: list[str]) -> str:
    """Return in which ways seeds failed at these settings."""
    failures = [settings.failures(method, label, metric) for label in labels]
    ways = zip(("diverged", "not finite"), zip(*failures, strict=True), strict=True)
    return " or ".join(way for way, numbers in ways if any(numbers))


def _value(sign: int, cost: float, failure: str) -> str:
    return show(sign * cost) if math.isfinite(cost) else failure


def _caption(settings: Settings) -> str:
    seeds = f"{'seeds' if len(settings.seeds) > 1 else 'seed'} {', '.join(map(str, settings.seeds))}"
    text = (
        f"Means over {seeds} after the last step, by setting, geometric for {IN_WORDS}. Diverged: settings at which a "
        "seed diverged. Such a setting counts as worse than all others, and so does one at which a seed finished "
        "without a finite value. Range: worst minus best, if no seed failed in either way. The best of several "
        "settings is optimistic, because it was chosen by the value shown"
    )
    text += "; the other tables hold other seeds. The choice compares arithmetic means." if settings.tuned else "."
    # Choices of early versions do not say at which step they were made.
    at_best = dict.fromkeys(choice["metric"] for choice in settings.picked.values() if choice.get("at") == "best")
    if at_best:
        metrics = " and ".join(heading(metric).rstrip(" ↓↑") for metric in at_best)
        text += f" Settings were chosen by {metrics} at the best step of each run, not the last."
    return text


def _notes(settings: Settings) -> list[str]:
    notes = [f"The loss is {settings.usual_loss} unless another is named."] if settings.has_other_losses else []
    not_ended = {
        f"{settings.name(method)} ({settings.setting_names[label]})": settings.counts(method, label)[2]
        for method in settings.methods
        for label in settings.settings
    }
    if runs := ", ".join(f"{number} of {name}" for name, number in not_ended.items() if number):
        notes.append(f"Not included, because they did not end: {runs}.")
    return notes
