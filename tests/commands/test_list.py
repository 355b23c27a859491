"""Lists are readable at 80 columns; one entry is shown with its fields, an example and its paper."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from command_line import lipschitz
from ruamel.yaml import YAML

from lipschitz.commands.completion import complete_names
from lipschitz.commands.list import _POINTS, LISTINGS, show_lists
from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.sweep.definition.axes import Axes
from lipschitz.tasks.settings import SETTINGS
from lipschitz.terminal import Terminal


def shown(name: str | None, width: int = 80) -> list[str]:
    with (console := Terminal(width=width)).capture() as found:
        show_lists(name, console)
    return found.get().splitlines()


@pytest.mark.parametrize("kind", LISTINGS)
def test_a_list_is_readable_at_80_columns(kind: str) -> None:
    lines = shown(kind)
    assert max(map(len, lines)) <= 80
    names = [row[0] for row in LISTINGS[kind].rows()]
    if kind != "metrics":
        assert [line.split()[0] for line in lines[2:-1] if line.strip() and line[0] != " "] == names
    assert lines[-1] == "`lipschitz list NAME` shows one of them: its fields, an example and its source."


@pytest.mark.parametrize("name", ["spectral_normalization", "folder", "none", "sngan", "adam"])
def test_an_entry_has_its_fields_an_example_and_its_paper(name: str) -> None:
    text = "\n".join(shown(name))
    for point in _POINTS:
        if name in point:
            kind = point[name]
            assert f"{name} ({point.noun})" in text
            assert " ".join(kind.source.split()[:3]) in text
            assert all(f"\n{field}: " in text for field in kind.model_fields)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_the_example_of_a_constraint_is_valid(name: str) -> None:
    (example,) = [line.removeprefix("example: ") for line in shown(name, 200) if line.startswith("example: ")]
    rest = dedent("""
        name: a
        task: generation
        datasets: [digits]
        training: {steps: 1}
    """)
    assert Axes.model_validate(YAML(typ="safe").load(example + rest)).constraints


def test_a_name_that_is_not_there_is_hinted_at(tmp_path: Path) -> None:
    done = lipschitz("list", "SN", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'SN'; did you mean 'spectral_normalization'?" in done.stderr


def test_version_help_and_completion(tmp_path: Path) -> None:
    assert lipschitz("--version", cwd=tmp_path).stdout == "lipschitz 0.1.0\n"
    assert lipschitz("sweep", "-h", cwd=tmp_path).stdout == lipschitz("sweep", "--help", cwd=tmp_path).stdout
    words = {"_LIPSCHITZ_COMPLETE": "complete_bash", "COMP_WORDS": "lipschitz sta", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'lipschitz'; from lipschitz.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | words, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["status"]


def test_the_shell_completes_lists_methods_and_settings() -> None:
    assert complete_names("spectral_n") == ["spectral_normalization"]
    assert {*LISTINGS, *CONSTRAINTS.own, *SETTINGS} == set(complete_names(""))
