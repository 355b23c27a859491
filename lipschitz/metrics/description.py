"""What tables, plots and lists say of a recorded value: title, better direction, unit, source."""

from dataclasses import asdict, dataclass
from typing import Literal

Direction = Literal["lower", "higher"]


@dataclass(frozen=True)
class Description:
    """Description of one recorded value."""

    name: str
    """Name in records. There a slash and the place of the measurement may follow: ``sigma_operator/<layer>``."""
    title: str
    """Label of an axis or a column, without the unit."""
    better: Direction | None
    """Which direction is better; None for a value that describes rather than judges."""
    unit: str
    """Unit in which it is recorded; empty for a pure number."""
    source: str
    """Paper, arXiv number and equation or section; may be empty."""
    summary: str
    """One line: what is measured, on which samples."""

    @property
    def label(self) -> str:
        """Title, with the unit if there is one."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def facts(self) -> dict[str, str | None]:
        """Return everything besides the name, as ``run.json`` has it."""
        return {name: value for name, value in asdict(self).items() if name != "name"}
