"""A sweep that is reported once and read by many tests."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from synthetic import Plan, write_sweep

from lipschitz.report.write import report


@dataclass(frozen=True)
class Reported:
    folder: Path
    warnings: list[str]


ENDS = {
    ("eight_gaussians", "weight_clipping", 1): "diverged",
    ("digits", "none", 2): "failed",
    ("digits", "weight_clipping", 1): "failed",
    ("digits", "weight_clipping", 2): "running",
}


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    folder = write_sweep(tmp_path_factory.mktemp("reported"), Plan(ends=ENDS))
    return Reported(folder, report(folder))
