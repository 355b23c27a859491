"""The first line of an error's message."""

import pytest

from lipschitz.errors import first_line


@pytest.mark.parametrize(
    ("error", "line", "with_type"),
    [
        (ValueError("one"), "one", "ValueError: one"),
        (ValueError("\none\ntwo"), "one", "ValueError: one"),
        (ValueError("one\r\ntwo"), "one", "ValueError: one"),
        (ValueError(), "ValueError", "ValueError"),
        (ValueError("\n"), "ValueError", "ValueError"),
        (KeyError("name"), "'name'", "KeyError: 'name'"),
    ],
)
def test_first_line_of_an_error(error, line, with_type):
    assert first_line(error) == line
    assert first_line(error, with_type=True) == with_type
