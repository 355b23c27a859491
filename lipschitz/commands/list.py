"""``lipschitz list``: print what a sweep can be made of: name, one line, source; or one of them, with its fields."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from lipschitz.commands.list_entry import show_entry, source_of, start_of
from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.datasets.base import DATASETS
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.features.protocols import PROTOCOLS
from lipschitz.metrics.catalogue import CATALOGUE, METRICS
from lipschitz.models.base import MODELS
from lipschitz.sweep.engine.base import ENGINES
from lipschitz.tasks.augmentation import AUGMENTATIONS
from lipschitz.tasks.base import TASKS
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.optimisers import OPTIMISERS
from lipschitz.tasks.settings import SETTINGS
from lipschitz.training.observers import OBSERVERS

Row = tuple[str, ...]


class Listing(NamedTuple):
    """The columns of a table, and a function that makes its rows."""

    columns: Row
    rows: Callable[[], Iterable[Row]]


def _constraints() -> Iterable[Row]:
    for name, kind in CONSTRAINTS.items():
        yield (
            name,
            kind.promise,
            "yes" if kind.double_backward else "-",
            start_of(kind),
            kind.summary(),
            source_of(kind),
        )
    for name, reason in CONSTRAINTS.refused.items():
        yield name, "-", "-", "-", f"Refused: {reason}.", ""


def _rows(point: ExtensionPoint[Any]) -> Iterable[Row]:
    for name, kind in point.items():
        yield name, kind.summary(), source_of(kind)
    for name, reason in point.refused.items():
        yield name, f"Refused: {reason}.", ""


def _metrics() -> Iterable[Row]:
    for name, metric in CATALOGUE.own.items():
        yield name, metric.better or "-", metric.summary, metric.source
    for name, kind in METRICS.items():
        if name not in METRICS.own:
            yield name, kind.better or "-", kind.summary(), source_of(kind)
    for name, reason in METRICS.refused.items():
        yield name, "-", f"Refused: {reason}.", ""


def _settings() -> Iterable[Row]:
    for letter, setting in SETTINGS.items():
        betas = ", ".join(f"{beta:g}" for beta in setting.betas)
        yield letter, setting.optimiser.label(), f"{setting.lr:g}", betas, str(setting.n_dis), setting.source


_POINTS: tuple[ExtensionPoint[Any], ...] = (
    TASKS,
    DATASETS,
    MODELS,
    CONSTRAINTS,
    LOSSES,
    AUGMENTATIONS,
    OPTIMISERS,
    PROTOCOLS,
    ENGINES,
    OBSERVERS,
)
LISTINGS: dict[str, Listing] = {
    **{point.plural: Listing(("name", "description", "source"), partial(_rows, point)) for point in _POINTS},
    "constraints": Listing(("name", "promise", "second backward", "start", "description", "source"), _constraints),
    "settings": Listing(("name", "optimiser", "lr", "betas", "n_dis", "source"), _settings),
    "metrics": Listing(("name", "better", "description", "source"), _metrics),
}
"""What can be listed, by the plural of its name."""


NARROW = 120
"""Width in characters below which a table has its first columns and descriptions alone."""
_SHOWN_NARROW = ("name", "promise", "better", "optimiser", "lr", "betas", "n_dis", "description")


def show_lists(kind: str | None, console: Console) -> None:
    """Print the table of one kind of thing, or of every kind; or what has the name ``kind``, with its fields.

    Raises:
        InputError: there is no such kind or thing.
    """
    if kind is not None and kind not in LISTINGS:
        show_entry(kind, _POINTS, LISTINGS, console)
        return
    for name in [kind] if kind else LISTINGS:
        listing = LISTINGS[name]
        is_narrow = console.width < NARROW
        shown = [at for at, column in enumerate(listing.columns) if not is_narrow or column in _SHOWN_NARROW]
        table = Table(title=name, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for column in (listing.columns[at] for at in shown):
            table.add_column(column, overflow="fold", no_wrap=column in ("name", "promise", "better"))
        for row in listing.rows():
            table.add_row(*(row[at] for at in shown))
        console.print(table, "")
    if console.width < NARROW:
        console.print("`lipschitz list NAME` shows one of them: its fields, an example and its source.")
