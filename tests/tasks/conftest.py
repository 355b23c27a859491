"""Tests of tasks search briefly for the bounds of a discriminator; those of the measurement itself do not."""

import pytest


@pytest.fixture(autouse=True)
def measured_briefly(brief_bracket: None) -> None:
    """A module whose tests look at the bounds defines another ``measured_briefly``."""
