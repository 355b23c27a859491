"""What the report calls things of a task: a task's own words, without torch."""

from typing import NamedTuple


class Wording(NamedTuple):
    """The words of a task in tables and figures, and what may share a table."""

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
