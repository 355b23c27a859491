"""``lipschitz claims``: decide claims from committed results, and write the table and the page."""

from pathlib import Path

from rich.console import Console

from lipschitz.errors import InputError, printable
from lipschitz.report.claims.claims_file import read_claims
from lipschitz.report.claims.verdicts import decide
from lipschitz.report.claims.write import summary, write


def write_claims(file: Path, root: Path, out: Path, console: Console) -> None:
    """Decide the claims of ``file`` from the results below ``root``, and write everything into ``out``.

    Raises:
        InputError: the file or a results folder is wrong.
    """
    if not root.is_dir():
        raise InputError(f"--root {root}: not a folder; allowed: the folder that holds results/")
    claims = read_claims(file)
    decided = decide(claims, root)
    write(claims, decided, out)
    console.print(printable(f"{len(decided)} claims: {summary(decided)}"), soft_wrap=True)
    console.print(printable(f"page: {out / 'index.html'}"), soft_wrap=True)
