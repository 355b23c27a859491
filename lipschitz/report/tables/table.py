"""A table as plain cells, before it is printed as Markdown, LaTeX or HTML."""

from dataclasses import dataclass

from lipschitz.report.statistics.intervals import MEANS, Interval
from lipschitz.report.statistics.significance import BOLD

TIME = (
    "A time: median of the fastest quarter of the calls of each round, or of all calls in timings of earlier versions "
    "[from its interval and the medians of rounds]"
)
CAPTION = (
    f"{MEANS[0].upper()}{MEANS[1:]}. n: seeds that finished. Seeds that diverged are counted separately and are in no "
    "mean. Last: after the last step. Best: at the step that one evaluation draw chose, measured on a fresh draw. "
    f"{TIME}; × none: [from single rounds]. Bold: {BOLD.format(what='mean of its comparison')}."
)


def seeds_named(interval: Interval, finished: int) -> str:
    """Return the text of ``interval``, with its seeds where it has fewer than ``finished``."""
    return interval.text + (f" (n = {interval.n})" if 0 < interval.n < finished else "")


@dataclass(frozen=True)
class Cell:
    """One number or text of a table."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Column:
    """The head of a column; neighbouring columns with the same ``over`` share it as an upper line."""

    head: str
    over: str = ""
    numeric: bool = True

    @property
    def name(self) -> str:
        """Both lines of the head in one."""
        return f"{self.over}: {self.head}" if self.over else self.head


@dataclass(frozen=True)
class Table:
    """A table as plain cells; ``notes`` say what it leaves out and what its columns mean.

    Task, data set and model name its section of the page. The model is empty in a section that several models share,
    and all three are empty for a table of the whole sweep.
    """

    task: str
    dataset: str
    model: str
    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    notes: list[str]
    caption: str = CAPTION
