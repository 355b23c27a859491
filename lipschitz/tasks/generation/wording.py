"""The words of the report about the task generation."""

from lipschitz.tasks.wording import Wording

WORDING = Wording(
    lead="The same networks, the same data, the same seeds: "
    "only the Lipschitz constraint of the discriminator changes.",
    network="Discriminator",
    floor="real data",
    meaning="“Real data” is the metric between two sets of real data: what a perfect generator would reach on average.",
    real="real",
    fake="generated",
    timed=("ms_discriminator_step", "ms_generator_step"),
    places={},
    axes_reach_floor=True,
    shares_tables=False,
)
