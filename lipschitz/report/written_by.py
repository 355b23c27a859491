"""Which code wrote a report: the version of the package and, in a git checkout, its commit. No torch."""

import subprocess
from pathlib import Path

from lipschitz import __version__
from lipschitz.checksums import SHOWN

_TOP = Path(__file__).parents[2]


def written_by() -> str:
    """Return the version, ``lipschitz 0.1.0``, with the commit of the checkout, and whether the package differs."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return f"lipschitz {__version__}"
    changes = " with changes" if _git("status", "--porcelain", "--", "lipschitz", "pyproject.toml") else ""
    return f"lipschitz {__version__}, commit {commit[:SHOWN]}{changes}"


def _git(*arguments: str) -> str:
    """Return the output of git in the package's own checkout; empty where it is none, or git fails."""
    if not (_TOP / ".git").exists():
        return ""
    try:
        done = subprocess.run(["git", "-C", str(_TOP), *arguments], capture_output=True, encoding="utf-8", check=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
