"""Make the hypothesis strategies of `tests/estimation/drawn_layers.py` importable here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "estimation"))
