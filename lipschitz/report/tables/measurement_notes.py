"""Notes under a table on what the measurement of a network takes for granted: bounds, their reasons, convergence."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from lipschitz.report.statistics.summary import Lookup

EXACT = "lipschitz_exact"
PRODUCT = "product"
"""The method of an upper bound that needs no note."""


def measurement_notes(group: pd.DataFrame, lookup: Lookup, shown: Callable[[str], str]) -> list[str]:
    """Return one note for each kind of fact that a run of ``group`` recorded, with the constraints that it is of.

    ``shown`` maps a label to its display name.
    """
    of_rows = [(shown(str(row["constraint"])), lookup.measurement(row)) for _, row in group.iterrows()]

    def note(head: str, key: str, text: Callable[[Any], str]) -> list[str]:
        by_text: dict[str, list[str]] = {}
        for name, of_row in of_rows:
            if key in of_row and (found := text(of_row[key])):
                by_text.setdefault(found, []).append(name)
        parts = [
            f"{'all' if len(names) == len(of_rows) else ', '.join(dict.fromkeys(names))} ({found})"
            for found, names in by_text.items()
        ]
        return [f"{head}: {'; '.join(parts)}."] if parts else []

    return [
        *(note("No exact Lipschitz constant", "no_exact", str) if lookup.has(EXACT) else []),
        *note("Upper bound on Lip(D) other than by single layers", "upper_method", lambda m: "" if m == PRODUCT else m),
        *note("Conditions of the upper bound on Lip(D), or why there is none", "upper_reasons", _first),
        *note("On the bracket of Lip(D)", "bracket_notes", "; ".join),
        *note("σ of an operator did not reach its tolerance in layers", "unconverged", ", ".join),
    ]


def _first(reasons: list[str]) -> str:
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return reasons[0] + more
