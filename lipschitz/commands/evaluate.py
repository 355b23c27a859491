"""``lipschitz evaluate``: print FID, KID, precision and recall of two folders or .npz files of images."""

import json
import math
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lipschitz.commands.progress_lines import progress_lines
from lipschitz.errors import printable
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.tasks.generation.image_scores import ImageScores, evaluate

ARROWS = {"lower": "lower is better", "higher": "higher is better"}


def evaluate_and_print(
    generated: Path,
    real: Path,
    console: Console,
    *,
    protocol: str,
    judge: str | None,
    size: int | None,
    inception_weights: Path | None,
    data_root: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Print a table, or JSON with what each value depends on; what must be known goes to stderr.

    Raises:
        InputError: see `lipschitz.tasks.generation.image_scores.evaluate`.
    """
    with progress_lines("evaluating") as progress:
        progress("features of all images")
        found = evaluate(
            generated,
            real,
            protocol,
            judge=judge,
            size=size,
            inception_weights=inception_weights,
            data_root=data_root,
            device=device,
        )
    for line in found.warnings:
        print(f"warning: {printable(line)}", file=sys.stderr)
    if as_json:
        print(to_json(found))
    else:
        _print_table(found, console)


def to_json(found: ImageScores) -> str:
    """Return values and protocols as strict JSON, with null for a value that is not finite."""
    values = {name: value if math.isfinite(value) else None for name, value in found.values.items()}
    return json.dumps({"values": values, "protocols": found.protocols}, ensure_ascii=False, allow_nan=False)


def _print_table(found: ImageScores, console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("metric", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("")
    for name, value in found.values.items():
        metric = CATALOGUE.get(name.partition("/")[0])
        table.add_row(name, f"{value:.5g}", ARROWS.get(str(metric and metric.better), ""))
    console.print(table)
    features = dict.fromkeys(str(facts["features"]) for facts in found.protocols.values())
    console.print(f"features: {', '.join(features)}", soft_wrap=True)
