"""The words of a report for each task, the parts of a step that are timed, and which models may share a table."""

from typing import NamedTuple

from lipschitz.report.style import REAL


class Wording(NamedTuple):
    """The words of a report for one task, and how it lays out tables and axes."""

    lead: str
    """First line of the page."""
    network: str
    """Name of the trained network D, as the head of a column."""
    floor: str
    """Name of the floor's row in a table: the metrics of real data, or of an optimal potential."""
    meaning: str
    """Explanation of that row, for the page."""
    real: str
    """Name of the samples on which D is to be high."""
    fake: str
    """Name of the samples on which D is to be low."""
    timed: tuple[str, ...]
    """Parts of a training step that the timing pass measures."""
    places: dict[str, str]
    """Names of the places where gradients are measured; a place that is missing here keeps its own name."""
    axes_reach_floor: bool
    """Whether an axis of quality always shows the floor; not where it is zero up to noise, far below all methods."""
    shares_tables: bool
    """Whether one table holds several models: a pair of distributions has one true answer, whatever the network."""
    small_networks: bool
    """Whether the memory of a process, which is what is measured on a CPU, says nothing of its small networks."""


GENERATION = Wording(
    lead="The same networks, the same data, the same seeds: "
    "only the Lipschitz constraint of the discriminator changes.",
    network="Discriminator",
    floor=REAL,
    meaning="“Real data” is the metric between two sets of real data: what a perfect generator would reach on average.",
    real="real",
    fake="generated",
    timed=("ms_discriminator_step", "ms_generator_step"),
    places={},
    axes_reach_floor=True,
    shares_tables=False,
    small_networks=False,
)
TASKS = {
    "generation": GENERATION,
    "transport": Wording(
        lead="The same pairs of distributions, whose optimal transport is known, the same batches, the same seeds: "
        "only the Lipschitz constraint of the critic changes, and, where a table says so, its network or its steps.",
        network="Critic",
        floor="optimal potential",
        meaning="“Optimal potential” is what the metrics say of the potential that is known to be optimal: what a "
        "perfect critic would reach, up to the noise of sampling. D is the critic, P what it calls real, Q generated.",
        real="P",
        fake="Q",
        timed=("ms_discriminator_step",),
        places={"real": "P", "interpolated": "between", "fake": "Q"},
        axes_reach_floor=False,
        shares_tables=True,
        small_networks=True,
    ),
}
FLOORS = tuple(dict.fromkeys(task.floor for task in TASKS.values()))


def wording(task: str) -> Wording:
    """Return the wording of ``task``; an unknown task has that of generation."""
    return TASKS.get(task, GENERATION)
