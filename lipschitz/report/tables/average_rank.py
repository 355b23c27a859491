"""Table of the average rank of methods over the places of a sweep, with one sentence for each family of methods."""

from lipschitz.report.number_format import MISSING, show, show_range
from lipschitz.report.statistics.average_rank import AverageRanks, RankedMethod
from lipschitz.report.statistics.improvement import Improvement
from lipschitz.report.statistics.intervals import MEAN, SCORE
from lipschitz.report.style import family_of
from lipschitz.report.tables.table import Cell, Column, Table


def table(found: AverageRanks) -> Table:
    """Return a row a method: its average rank, its best and worst rank, and its probability of improvement."""
    columns = [
        Column("Constraint", numeric=False),
        Column("Average rank"),
        Column("Best rank"),
        Column("Worst rank"),
        Column(f"P(better than {found.reference})"),
    ]
    rows = [
        [
            Cell(method.name),
            Cell(show_range(method.average.mean, method.average.low, method.average.high)),
            Cell(f"{min(method.ranks):g}"),
            Cell(f"{max(method.ranks):g}"),
            Cell(MISSING if method.improvement is None else probability_text(method.improvement)),
        ]
        for method in found.methods
    ]
    return Table("", "", "", "Average rank over all places", columns, rows, _notes(found), _caption(found))


def probability_text(improvement: Improvement) -> str:
    """Return a probability with its interval, to two decimals."""
    return f"{improvement.probability:.2f} [{improvement.low:.2f}, {improvement.high:.2f}]"


def family_sentences(found: AverageRanks) -> list[str]:
    """Return one sentence for each family: its average ranks, its best method, and that one's improvement."""
    families: dict[str, list[RankedMethod]] = {}
    for method in found.methods:
        families.setdefault(family_of(method.constraint).title, []).append(method)
    return [_sentence(title, methods, found) for title, methods in families.items()]


def _sentence(title: str, methods: list[RankedMethod], found: AverageRanks) -> str:
    best, last = methods[0], methods[-1]
    of = f"of {len(found.methods)}"
    if len(methods) == 1:
        text = f"{title}: {best.name} has average rank {show(best.average.mean)} {of}"
    else:
        ends = f"{show(best.average.mean)} to {show(last.average.mean)}"
        text = f"{title}: average ranks from {ends} {of}, the best is {best.name}"
    if best.improvement is not None:
        text += f", better than {found.reference} in {100 * best.improvement.probability:.0f} % of pairs of runs"
    return f"{text[0].upper()}{text[1:]}."


def _notes(found: AverageRanks) -> list[str]:
    notes = [*family_sentences(found), f"The {len(found.places)} places: {'; '.join(found.places)}."]
    if found.left_out:
        notes.append(
            "Not ranked, because a place lacks them, or has fewer than two seeds of them or a failed one: "
            f"{', '.join(found.left_out)}."
        )
    if found.places_left_out:
        notes.append(f"Places without some of these methods: {'; '.join(found.places_left_out)}.")
    return notes


def _caption(found: AverageRanks) -> str:
    return (
        "A place is a data set with one network and start, loss and setting. Rank 1 is the best mean after the last "
        "step among the methods of this table; a method with a diverged seed ranks last. "
        f"[{MEAN.name} of the mean over places, cut to ranks that exist]. P: the share of pairs of runs, one of each "
        "method, in which the method is better; a diverged run is the worst; mean over places "
        f"[{SCORE.name}, not corrected for the number of methods] (Agarwal et al. 2021, arXiv:2108.13264). "
        "Ranks of methods that a test does not tell apart differ by chance; the tables of each data set hold the tests."
    )
