"""How robust each method is against the setting: its best, its median and its worst, as a table."""

import math
from statistics import median

from lipschitz.report.reading.titles import heading
from lipschitz.report.statistics.robustness import Method, Settings
from lipschitz.report.statistics.targets import better
from lipschitz.report.tables.number_format import MISSING, show
from lipschitz.report.tables.table import Cell, Column, Table


def table(found: Settings) -> Table:
    """Return a row a method: how many of its settings diverged, and by metric its best, median and worst setting.

    A setting counts by its mean over seeds; one with a seed that diverged, or that finished without a finite value, is
    worse than all others, as it is where settings are chosen.
    """
    columns = [Column("Constraint", numeric=False), Column("Settings"), Column("Diverged")]
    columns += [
        Column(head, heading(metric)) for metric in found.metrics for head in ("best", "median", "worst", "range")
    ]
    methods = [method for method in found.methods if found.settings_of(method)]
    rows = [
        [
            Cell(found.name(method)),
            Cell(str(len(found.settings_of(method)))),
            Cell(str(sum(found.counts(method, setting)[1] > 0 for setting in found.settings_of(method)))),
            *(Cell(text) for metric in found.metrics for text in _said(found, method, metric)),
        ]
        for method in methods
    ]
    return Table("", "", "", f"Robustness over settings: {found.title}", columns, rows, _notes(found), _caption(found))


def _said(found: Settings, method: Method, metric: str) -> list[str]:
    """Return best, median, worst and range in words."""
    sign = 1 if better(metric) == "lower" else -1
    settings = found.settings_of(method)
    costs = {setting: cost for setting in settings if (cost := _cost(found, method, setting, metric, sign)) == cost}
    if not costs:
        return [MISSING] * 4
    failed = _failed(found, method, metric, list(costs))
    best, worst, middle = min(costs.values()), max(costs.values()), median(costs.values())
    said = [
        f"{_value(sign, value, failed)} ({names})"
        for value in (best, worst)
        for names in [", ".join(found.setting_names[setting] for setting in costs if costs[setting] == value)]
    ]
    return [said[0], _value(sign, middle, failed), said[1], show(worst - best) if math.isfinite(worst) else MISSING]


def _cost(found: Settings, method: Method, setting: str, metric: str, sign: int) -> float:
    """Return the mean, negative where higher is better: infinite where a seed failed, NaN where nothing is known."""
    failed = any(found.failures(method, setting, metric))
    return math.inf if failed else sign * found.value(method, setting, metric)[0]


def _failed(found: Settings, method: Method, metric: str, settings: list[str]) -> str:
    """Return what became of seeds whose setting has no mean to be judged by."""
    failures = [found.failures(method, setting, metric) for setting in settings]
    ways = zip(("diverged", "not finite"), zip(*failures, strict=True), strict=True)
    return " or ".join(way for way, numbers in ways if any(numbers))


def _value(sign: int, cost: float, failed: str) -> str:
    return show(sign * cost) if math.isfinite(cost) else failed


def _caption(found: Settings) -> str:
    seeds = f"{'seeds' if len(found.seeds) > 1 else 'seed'} {', '.join(map(str, found.seeds))}"
    said = (
        f"Means over {seeds} after the last step, by setting. Diverged: settings at which a seed did; they count as "
        "worse than all others, and so do those at which a seed finished without a finite value. Range: worst less "
        "best, where no seed failed so. The best of several settings is optimistic: it was chosen by what it shows"
    )
    said += "; the other tables hold other seeds." if found.tuned else "."
    # Sweeps of early versions do not say at which step.
    at_best = dict.fromkeys(choice["metric"] for choice in found.picked.values() if choice.get("at") == "best")
    metrics = " and ".join(heading(metric).rstrip(" ↓↑") for metric in at_best)
    return said + (f" Settings were chosen by {metrics} at the best step of each run, not the last." if metrics else "")


def _notes(found: Settings) -> list[str]:
    notes = [f"The loss is {found.usual_loss} where none is named."] if found.has_other_losses else []
    open_runs = {
        f"{found.name(method)} ({found.setting_names[setting]})": found.counts(method, setting)[2]
        for method in found.methods
        for setting in found.settings
    }
    said = ", ".join(f"{number} of {name}" for name, number in open_runs.items() if number)
    return [*notes, *([f"Not in these numbers, because they did not end: {said}."] if said else [])]
