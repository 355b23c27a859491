"""Print tables as Markdown and as LaTeX."""

import re
from collections.abc import Iterable
from itertools import groupby

from lipschitz.report.tables.latex_text import in_ascii, tex
from lipschitz.report.tables.table import CAPTION, Cell, Column, Table

_NUMBER = r"[-+.\de]+"
_MARKDOWN = re.compile(
    rf"(?P<interval>\[{_NUMBER}, {_NUMBER}\](?![(\[:]))|[\\`*{{}}\[\]<>|#~$&]|(?<![^\W_])_|_(?![^\W_])"
)
"""Characters that are markup in Markdown; an underscore inside a word is not, nor are the brackets of an interval."""

_MANY_ROWS = 40
"""Above this number the rows of a LaTeX table are set closer, so that it fits a page with its caption."""

_LONG_NOTES = 600
"""Above this number of characters notes follow a LaTeX table, because a caption must fit the page of its table."""

# \@nodocument is \relax once a document has begun: this tells whether the file was \input or is compiled alone.
_OPENING = r"""% Load booktabs, and graphicx to scale wide tables down, and \input this; or compile it alone.
\makeatletter
\newif\ifalone \ifx\@nodocument\relax \alonefalse \else \alonetrue \fi
\makeatother
\ifalone
  \documentclass[a4paper]{article}
  \usepackage[landscape,margin=15mm]{geometry}
  \usepackage{booktabs,graphicx}
  \begin{document}
\fi
\providecommand\fitted[1]{\sbox0{#1}%
  \ifdim\wd0>\linewidth\ifx\resizebox\undefined\usebox0\else\resizebox{\linewidth}{!}{\usebox0}\fi\else\usebox0\fi}
"""
_CLOSING = r"""\ifalone \def\finish{\end{document}}\else \let\finish\relax \fi
\finish
"""


def markdown(tables: list[Table], title: str, warnings: Iterable[str] = ()) -> str:
    """Return the tables as GitHub's Markdown, below a heading, warnings, and the caption that most of them share."""
    parts = [f"# {_plain(title)}", *(f"Warning: {_plain(warning)}." for warning in warnings), _plain(CAPTION)]
    for table in tables:
        heads = [_plain(column.name) for column in table.columns]
        rules = ["---:" if column.numeric else ":---" for column in table.columns]
        rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
        lines = ["| " + " | ".join(row) + " |" for row in (heads, rules, *rows)]
        parts += [f"## {_plain(table.title)}", "\n".join(lines)]
        own = [table.caption] if table.caption != CAPTION else []
        parts += [_plain(text) for text in [*own, *table.notes]]
    return "\n\n".join(parts) + "\n"


def latex(tables: list[Table], comments: Iterable[str] = ()) -> str:
    r"""Return the tables as LaTeX with booktabs: a file that compiles alone and can be ``\input``."""
    head = "".join(f"% {in_ascii(' '.join(line.split()))}\n" for line in comments)
    return _OPENING + head + "\n".join(_latex_table(table) for table in tables) + _CLOSING


def spans(columns: list[Column]) -> list[tuple[str, int, int]]:
    """Return the upper line of a table's head: text, first column (from 1) and number of columns of each span."""
    found, start = [], 1
    for over, group in groupby(columns, key=lambda column: column.over):
        width = len(list(group))
        found.append((over, start, width))
        start += width
    return found


def _latex_table(table: Table) -> str:
    upper = spans(table.columns)
    form = "".join("r" if column.numeric else "l" for column in table.columns)
    over = " & ".join(
        rf"\multicolumn{{{width}}}{{c}}{{{tex(text)}}}" if text else " & " * (width - 1) for text, _, width in upper
    )
    rules = " ".join(rf"\cmidrule(lr){{{start}-{start + width - 1}}}" for text, start, width in upper if text)
    notes = " ".join(table.notes)
    apart = len(notes) > _LONG_NOTES
    caption = " ".join(filter(None, [table.caption, "" if apart else notes]))
    lines = [
        r"\begin{table}[ht]",
        r"  \centering\scriptsize\setlength{\tabcolsep}{3pt}"
        + (r"\renewcommand{\arraystretch}{0.85}" if len(table.rows) > _MANY_ROWS else ""),
        rf"  \caption{{{tex(table.title)}. {tex(caption)}}}",
        rf"  \fitted{{\begin{{tabular}}{{{form}}}",
        r"    \toprule",
        rf"    {over} \\",
        f"    {rules}",
        "    " + " & ".join(tex(column.head) for column in table.columns) + r" \\",
        r"    \midrule",
        *("    " + " & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in table.rows),
        r"    \bottomrule",
        r"  \end{tabular}}",
        r"\end{table}",
        *([rf"{{\scriptsize\noindent {tex(table.title)}: {tex(notes)}\par}}"] if apart else []),
        "",
    ]
    return "\n".join(lines)


def _latex_cell(cell: Cell) -> str:
    text = tex(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold else text


def _markdown_cell(cell: Cell) -> str:
    text = _plain(cell.text)
    return f"**{text}**" if cell.bold else text


def _plain(text: str) -> str:
    return _MARKDOWN.sub(lambda found: found["interval"] or f"\\{found[0]}", " ".join(text.split()))
