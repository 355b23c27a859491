"""The words of the report about the task transport."""

from lipschitz.tasks.wording import Wording

WORDING = Wording(
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
)
