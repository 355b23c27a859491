"""Names for the shell to complete. No torch: a shell waits for them at every TAB."""

import re
from pathlib import Path

KINDS = (
    *("augmentations", "constraints", "datasets", "engines", "losses", "metrics", "models", "observers"),
    *("optimisers", "protocols", "settings", "tasks"),
)
"""What ``lipschitz list`` can list."""
SETTINGS = ("A", "B", "C", "D", "E", "F")
_SOURCE = re.compile(r"^    source\b", re.MULTILINE)


def complete_names(incomplete: str) -> list[str]:
    """Return what may follow ``lipschitz list``: its lists, methods, and settings, as far as typed.

    A method is a file of the package's folder of constraints whose class names its source; nothing is imported.
    """
    files = sorted(Path(__file__).parents[1].joinpath("constraints").glob("*.py"))
    methods = [file.stem for file in files if file.stem != "base" and _SOURCE.search(file.read_text(encoding="utf-8"))]
    return [name for name in (*KINDS, *methods, *SETTINGS) if name.startswith(incomplete)]
