"""The words of the report about a task. Imports no torch."""

from typing import NamedTuple


class Wording(NamedTuple):
    """The words of the report about a task, and which of its runs may share a table."""

    lead: str
    """First line of the page."""
    network: str
    """Heading of the column of the trained network D."""
    floor: str
    """Name of the row of the floor: the metrics of real data, or of the known optimum."""
    meaning: str
    """Explanation of that row on the page."""
    real: str
    """Name of the samples on which D should be large."""
    fake: str
    """Name of the samples on which D should be small."""
    timed: tuple[str, ...]
    """Parts of a training step that the timing pass measures."""
    places: dict[str, str]
    """Names of the places where gradients are measured, where they differ from those recorded."""
    axes_reach_floor: bool
    """Whether an axis of quality includes the floor: False if that is nearly zero, far below every method."""
    shares_tables: bool
    """Whether one table compares several models: True if each data set has one true answer, whatever the network."""
    small_networks: bool
    """Whether networks are so small that the memory of a CPU process does not show them."""
