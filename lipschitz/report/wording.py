"""What the report must know of each task: what it calls things, what it times, and what may share a table."""

from typing import NamedTuple

from lipschitz.report.style import REAL


class Wording(NamedTuple):
    """How the report speaks of a task, and what it may lay out together."""

    lead: str
    """First line of the page."""
    network: str
    """What the trained network D is, as the head of a column."""
    floor: str
    """Name of the row that stands beside the methods: what the metrics say where nothing has to be learnt."""
    meaning: str
    """What that row is, for the page."""
    real: str
    """What the samples are that D is to raise."""
    fake: str
    """What the samples are that D is to lower."""
    timed: tuple[str, ...]
    """Parts of a training step that the timing pass measures."""
    places: dict[str, str]
    """What a place where gradients are measured is called; its own name where nothing stands here."""
    axes_reach_floor: bool
    """Whether an axis of quality always shows the floor; not where it is zero but for noise, far below every method."""
    shares_tables: bool
    """Whether one table holds several models: each pair has one true answer, whatever the network."""
    small_networks: bool
    """Whether its networks are lost in the memory of a process, which is what can be measured on a CPU."""


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
    """Return how the report speaks of ``task``; of an unknown one as if it were generation."""
    return TASKS.get(task, GENERATION)
