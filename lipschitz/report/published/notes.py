"""What a reader must know of a comparison with published numbers."""

from collections.abc import Hashable

import pandas as pd

from lipschitz.report.published.critics import Family
from lipschitz.report.published.work import Method, flatten, published


def notes(family: Family, rows: pd.DataFrame) -> list[str]:
    """Return who published what, how our runs are called, where they differ from the published, and what diverged.

    Args:
        family: what the table is of.
        rows: the cells of the family that are in it.
    """
    work = published()
    methods = {method.name: method for method in work.methods if method.name in set(rows["method"])}
    called = [f"{name}: {', '.join(_labels(family, rows, name))}" for name in methods]
    said = [f"Published: {work.source}; {work.protocol}. Steps: {work.iterations}."]
    said.append(f"What is what here: {'; '.join(called)}.")
    differing = {name: _differences(family, rows, method) for name, method in methods.items()}
    parts = [f"{name}: {', '.join(found)}" for name, found in differing.items() if found]
    if parts:
        said.append(f"Other than published in more than steps: {'; '.join(parts)}.")
    return said + diverged(rows)


def diverged(rows: pd.DataFrame) -> list[str]:
    """Return a line that names the seeds that diverged, none where there are none."""
    said = [
        f"{row['method']} at dim {row['dim']}, {row['width']} funnels (seed {', '.join(map(str, row['diverged']))})"
        for row in rows.to_dict("records")
        if row["diverged"]
    ]
    return [f"Diverged, and in no mean: {'; '.join(said)}."] if said else []


def _labels(family: Family, rows: pd.DataFrame, name: str) -> list[str]:
    of_method = rows[rows["method"] == name]
    return list(
        dict.fromkeys(
            f"{constraint} on {family.results.shown(model)}"
            for constraint, model in zip(of_method["constraint"], of_method["model"], strict=True)
        )
    )


def _differences(family: Family, rows: pd.DataFrame, method: Method) -> list[str]:
    configurations: list[Hashable] = list(rows.index[rows["method"] == method.name])
    return list(
        dict.fromkeys(
            text
            for configuration in configurations
            for text in method.differences(flatten(family.results.definitions[str(configuration)]))
        )
    )
