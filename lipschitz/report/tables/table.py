"""A table as plain cells, before it is Markdown, LaTeX or HTML."""

from dataclasses import dataclass

CAPTION = (
    "Mean ± 95 % Student-t interval over training seeds; n is the seeds that finished; those that diverged are counted "
    "apart. "
    "Last: after the last step. Best: at the step that one evaluation draw chose, measured on a fresh draw. "
    "Bold: the best mean of its comparison, which need not differ significantly from the next."
)


@dataclass(frozen=True)
class Cell:
    """One number or word of a table."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Column:
    """A column's head; neighbours with the same ``over`` share it."""

    head: str
    over: str = ""
    numeric: bool = True

    @property
    def name(self) -> str:
        """The whole of it, where heads have one line."""
        return f"{self.over}: {self.head}" if self.over else self.head


@dataclass(frozen=True)
class Table:
    """A table as plain cells, ready for any markup; ``notes`` say what is not in it.

    It belongs to a section of the page, which several models may share (then ``model`` is empty).
    """

    task: str
    dataset: str
    model: str
    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    notes: list[str]
    caption: str = CAPTION
