"""A fault of the table: its name, what is allowed to happen, and a try of it."""

from collections.abc import Callable
from dataclasses import dataclass

from fault_injection.trial import Trial

Try = Callable[[Trial], None]


@dataclass(frozen=True)
class Fault:
    """A row of the table."""

    group: str
    name: str
    allowed: tuple[str, ...]
    """The outcomes that are allowed, stated before it is tried."""
    attempt: Try
    sweep: str = "points"
    """The sweep that is disturbed."""
    needs_root: bool = False

    @property
    def title(self) -> str:
        """Group and name."""
        return f"{self.group}: {self.name}"
