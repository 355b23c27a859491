"""What a constraint did to the network, and at what cost: columns of a table."""

import pandas as pd

from lipschitz.report.comparisons import LABELS
from lipschitz.report.digits import MISSING, show, show_interval
from lipschitz.report.lookup import Lookup
from lipschitz.report.summary import LARGEST
from lipschitz.report.table import Cell, Column
from lipschitz.report.tasks import wording

MEMORY = "Peak memory"


def cost_columns(group: pd.DataFrame, lookup: Lookup) -> tuple[list[Column], list[list[Cell]]]:
    """Return the columns and, a row a configuration of ``group``, their cells; a column that says nothing is left out.

    That is the cost beside a method that the table does not have, and memory where networks are so small that a
    process on the CPU shows none of it.
    """
    task = wording(str(group["task"].iloc[0]))
    step = f"{task.network} step"
    columns = [
        Column("kernel", "Largest σ of a layer"),
        Column("operator", "Largest σ of a layer"),
        Column("at least", "Lip(D)"),
        Column("at most", "Lip(D)"),
        Column("ms", step),
        Column("× none", step),
        Column("MiB", MEMORY),
    ]
    measured = [*LARGEST.values(), "lipschitz_lower", "lipschitz_upper"]
    cells = []
    for _, row in group.iterrows():
        plain = row.copy()
        plain["constraint"] = "none"
        milliseconds, reference = (lookup(asked, "ms_discriminator_step")[0] for asked in (row, plain))
        same_device = lookup.devices.get(tuple(row[LABELS])) == lookup.devices.get(tuple(plain[LABELS]))
        ratio = milliseconds / reference if same_device else float("nan")
        line = [Cell(show_interval(*lookup(row, metric)[:2])) for metric in measured]
        line += [Cell(show(milliseconds)), Cell(f"{ratio:.2f}" if ratio == ratio else MISSING)]
        cells.append([*line, Cell(show(lookup(row, "peak_memory")[0]))])
    on_cpu = all(lookup.devices.get(tuple(row[LABELS]), "").startswith("cpu") for _, row in group.iterrows())
    empty = {
        "× none": all(line[5].text == MISSING for line in cells),
        "MiB": task.small_networks and on_cpu,
    }
    kept = [place for place, column in enumerate(columns) if not empty.get(column.head)]
    return [columns[place] for place in kept], [[line[place] for place in kept] for line in cells]
