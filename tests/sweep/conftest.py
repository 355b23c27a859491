"""Tests of sweeps search briefly for the bounds of a discriminator, in this process and in workers."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def measured_briefly(brief_brackets: None) -> None:
    """Numbers of a worker are compared with those of this process, so all search alike."""
