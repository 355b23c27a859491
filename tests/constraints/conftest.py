"""The layers that the tests of `estimation` draw serve here too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "estimation"))
