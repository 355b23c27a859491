"""One LaTeX table of chosen metrics for a paper: fitted to a column, numbers aligned by siunitx, one caption."""

import re
from collections.abc import Sequence
from textwrap import wrap
from typing import NamedTuple

from lipschitz.errors import InputError, nearest
from lipschitz.report.number_format import MISSING
from lipschitz.report.reading.comparisons import COMPARISON
from lipschitz.report.reading.metric_names import heading
from lipschitz.report.statistics.intervals import MEAN, MEANS, Interval, method_of
from lipschitz.report.statistics.significance import BOLD
from lipschitz.report.statistics.summary import Lookup, Summary
from lipschitz.report.statistics.timings import UNSTEADY, drift
from lipschitz.report.tables.configurations import configurations_in_order
from lipschitz.report.tables.latex_text import tex
from lipschitz.report.tables.table import TIME
from lipschitz.tasks.wording import wording

_HEAD_WIDTH = 18
"""Characters of a line in the head of a column."""
_FAILED = r"$^\dagger$"
_OPENING = r"""% Load booktabs, siunitx and graphicx, and \input this file. A table wider than a column is scaled down.
\begin{table}[t]
  \centering\footnotesize\setlength{\tabcolsep}{3pt}
  \sisetup{separate-uncertainty=true,detect-weight=true}"""
_CLOSING = r"""  }%
  \ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi
\end{table}
"""
_TIME = f" {TIME}."


class _Row(NamedTuple):
    """A method, or what a comparison is compared with: its name in LaTeX and an interval for each metric."""

    name: str
    intervals: list[Interval]
    bold: list[bool]
    unsteady: list[bool]


def metrics_table(summary: Summary, metrics: Sequence[str]) -> str:
    r"""Return a LaTeX table with a row a method and a column a metric after the last step, to be ``\input``.

    Comparisons, such as data sets, follow each other under a line that names them.

    Args:
        summary: of the sweep.
        metrics: names in ``summary.csv``, in the order of the columns.

    Raises:
        InputError: no metric is given, or one was not recorded.
    """
    _check(summary, metrics)
    groups = _groups(summary, metrics)
    seeds = sorted({one.n for _, rows in groups for row in rows for one in _of_seeds(row, metrics) if one.n})
    count = "" if len(seeds) == 1 else "r"
    columns = [[row.intervals[place] for _, rows in groups for row in rows] for place in range(len(metrics))]
    forms = "".join(_form(metric, column) for metric, column in zip(metrics, columns, strict=True))
    heads = [_head(metric) for metric in metrics]
    body = []
    for title, rows in groups:
        if len(groups) > 1:
            width = 1 + len(count) + sum(map(_width, metrics))
            body.append(rf"    \multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{tex(title)}}}}} \\")
        body += [_line(row, metrics, bool(count)) for row in rows] + [r"    \midrule"]
    lines = [
        _OPENING,
        rf"  \caption{{{tex(_caption(summary, groups, metrics, seeds))}}}",
        rf"  \label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', summary.results.name)}}}",
        # Classes leave no space between a caption and what is below it.
        r"  \smallskip",
        rf"  \sbox0{{\begin{{tabular}}{{@{{}}l{count}{forms}@{{}}}}",
        r"    \toprule",
        "    " + " & ".join(["Method", *(["n"] if count else []), *heads]) + r" \\",
        r"    \midrule",
        *body[:-1],
        r"    \bottomrule",
        r"  \end{tabular}%",
        _CLOSING,
    ]
    return "\n".join(lines)


def _check(summary: Summary, metrics: Sequence[str]) -> None:
    known = list(dict.fromkeys(summary.frame["metric"]))
    if not metrics:
        raise InputError("--metrics: no metric is named; expected names of summary.csv, for example w1,lipschitz_upper")
    for name in metrics:
        if name not in known:
            raise InputError(f"--metrics: '{name}' was not recorded here; {nearest(name, known)}")


def _groups(summary: Summary, metrics: Sequence[str]) -> list[tuple[str, list[_Row]]]:
    """Return for each comparison with a value its name and its rows; the floor comes last."""
    table, found = configurations_in_order(summary), []
    varying = [name for name in COMPARISON if name != "task" and (name == "dataset" or table[name].nunique() > 1)]
    for key, group in table.groupby(COMPARISON, sort=False):
        labels = dict(zip(COMPARISON, map(str, key), strict=True))
        lookup, shown = summary.lookup(labels), summary.results.shown
        best = [lookup.best(group, metric, "last") for metric in metrics]
        rows = [
            _Row(
                tex(shown(str(row["constraint"]))) + (_FAILED if row["diverged"] + row["failed"] else ""),
                [lookup.interval(row, metric) for metric in metrics],
                [index in places for places in best],
                [drift(lookup.timing(row), metric) > 0 for metric in metrics],
            )
            for index, row in group.iterrows()
        ]
        rows += _floor(lookup, wording(labels["task"]).floor, metrics)
        if any(one.n for row in rows for one in row.intervals):
            found.append((", ".join(shown(labels[name]) for name in varying), rows))
    return found


def _floor(lookup: Lookup, name: str, metrics: Sequence[str]) -> list[_Row]:
    found = [lookup.floor(name, metric) for metric in metrics]
    if not any(found):
        return []
    none = [False] * len(metrics)
    return [_Row(tex(name), [one or Interval.around(float("nan"), float("nan"), 0) for one in found], none, none)]


def _of_seeds(row: _Row, metrics: Sequence[str]) -> list[Interval]:
    return [one for metric, one in zip(metrics, row.intervals, strict=True) if not _is_time(metric)]


def _is_time(metric: str) -> bool:
    return metric.startswith("ms_")


def _width(metric: str) -> int:
    return 1 if method_of(metric) is MEAN else 2


def _head(metric: str) -> str:
    stacked = r"\\".join(tex(line) for line in wrap(heading(metric), _HEAD_WIDTH))
    return rf"\multicolumn{{{_width(metric)}}}{{c}}{{\shortstack{{{stacked}}}}}"


def _number(one: Interval) -> str:
    """Return what siunitx aligns: ``0.716 +- 0.047``, or the mean alone where the ends have a column of their own."""
    text = one.text if one.method is MEAN else one.text.partition(" ")[0]
    return re.sub(r"^\((.*)\)(e.*)$", r"\1 \2", text).replace("±", "+-")


def _form(metric: str, column: Sequence[Interval]) -> str:
    """Return the columns of a metric: how many digits siunitx keeps room for, and a column for the ends."""
    numbers = [_number(one) for one in column if one.n]
    parts: list[dict[str, int]] = [_digits(text) for text in numbers if text[-1].isdigit()]
    most = {name: max((one[name] for one in parts), default=0) for name in ("minus", "whole", "places", "off", "power")}
    form = ("-" if most["minus"] else "") + f"{most['whole'] or 1}.{most['places']}"
    form += f"({most['off']})" if most["off"] else ""
    form += f"e-{most['power']}" if most["power"] else ""
    return f"S[table-format={form}]" + ("" if method_of(metric) is MEAN else r"@{\,}l")


def _digits(number: str) -> dict[str, int]:
    """Return the digits before and after the point, of the uncertainty, and of the exponent."""
    mantissa, _, power = number.partition("e")
    mean, _, off = (part.strip() for part in mantissa.partition("+-"))
    whole, _, places = mean.removeprefix("-").partition(".")
    uncertain = len(off.replace(".", "").lstrip("0")) if off else 0
    return {
        "minus": int(mean.startswith("-")),
        "whole": len(whole),
        "places": len(places),
        "off": uncertain,
        "power": len(str(abs(int(power)))) if power else 0,
    }


def _line(row: _Row, metrics: Sequence[str], has_count: bool) -> str:
    cells = [row.name]
    if has_count:
        cells.append("/".join(dict.fromkeys(str(one.n) for one in _of_seeds(row, metrics) if one.n)))
    for metric, one, bold, unsteady in zip(metrics, row.intervals, row.bold, row.unsteady, strict=True):
        number = _number(one)
        if not number[-1].isdigit():
            number = rf"{{{tex(number)}}}" if one.n else f"{{{tex(MISSING)}}}"
        cells.append(rf"\bfseries {number}" if bold else number)
        if _width(metric) > 1:
            cells.append(rf"\scriptsize {UNSTEADY}" if unsteady and one.n else _ends(one))
    return "    " + " & ".join(cells) + r" \\"


def _ends(one: Interval) -> str:
    """Return the ends of an interval as one.text has them; empty without an interval."""
    ends = one.text.partition(" [")[2].removesuffix("]")
    numbers = ", ".join(rf"\num{{{end}}}" for end in ends.split(", "))
    return rf"\scriptsize [{numbers}]" if ends else ""


def _caption(
    summary: Summary, groups: Sequence[tuple[str, list[_Row]]], metrics: Sequence[str], seeds: Sequence[int]
) -> str:
    of = groups[0][0] if len(groups) == 1 else summary.results.name
    text = f"{of}, after the last step: {MEANS}. n{f' = {seeds[0]}' if len(seeds) == 1 else ': seeds that finished'}."
    text += _TIME if any(map(_is_time, metrics)) else ""
    text += f" Bold: {BOLD.format(what='mean')}."
    failed = any(_FAILED in row.name for _, rows in groups for row in rows)
    return text + (" †: with a diverged or failed seed." if failed else "")
