"""The command line: help, lists, and one clear line with exit code 2 for each mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import lipschitz
from sweeps import SMALL, write

from lipschitz.commands.list import LISTINGS

MISTAKES = {
    "an unknown constraint": (SMALL.replace("[none", "[nine"), [], "unknown constraint 'nine'; did you mean 'none'?"),
    "no file": (None, [], "absent.yaml: cannot be read"),
    "no data": (
        SMALL.replace("[eight_gaussians]\n    models: [{mlp: {width: 8, depth: 1}}]", "[mnist]"),
        [],
        "--data-root",
    ),
    "no CUDA": (SMALL, ["--device", "cuda:99"], "--device cuda:99"),
    "an unknown device": (SMALL, ["--device", "tpu"], "no such device"),
    "no place for results": (SMALL, ["--out", "/proc/nowhere"], "results cannot be written here"),
    "negative steps": (SMALL.replace("120", "-5"), [], "greater than or equal to 1, found -5"),
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_one_line_exit_2_and_nothing_written(tmp_path: Path, mistake: str) -> None:
    text, options, said = MISTAKES[mistake]
    path = tmp_path / "absent.yaml" if text is None else write(tmp_path, text)
    before = sorted(tmp_path.rglob("*"))
    done = lipschitz("sweep", path, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


USAGE = {
    "an unknown command": (["foo"], "No such command 'foo'"),
    "an unknown option": (["sweep", "--nope"], "No such option"),
    "a missing argument": (["sweep"], "Missing argument"),
    "a word for a number": (["sweep", "small.yaml", "--workers", "two"], "Invalid value for '--workers': "),
    "no workers": (["sweep", "small.yaml", "--workers", 0], "Invalid value for '--workers': "),
}


@pytest.mark.parametrize("case", USAGE, ids=str)
def test_a_wrong_option_or_command_is_one_line_and_exit_2(tmp_path: Path, case: str) -> None:
    arguments, said = USAGE[case]
    done = lipschitz(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.endswith(" --help`\n")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_without_arguments_the_help_is_shown(tmp_path: Path) -> None:
    done = lipschitz(cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage:" in done.stdout + done.stderr


LISTED = {
    "augmentations": "2006.10738",
    "constraints": "1802.05957",
    "datasets": "1704.00028",
    "engines": "local",
    "losses": "1406.2661",
    "metrics": "1706.08500",
    "models": "1802.05957",
    "observers": "tensorboard",
    "optimisers": "adam",
    "protocols": "sngan",
    "settings": "Miyato",
    "tasks": "transport",
}


@pytest.mark.parametrize("kind", LISTED)
def test_list(kind: str, tmp_path: Path) -> None:
    done = lipschitz("list", kind, cwd=tmp_path)
    assert done.returncode == 0
    assert LISTED[kind] in done.stdout


def test_everything_is_listed_by_default_and_named_in_the_help(tmp_path: Path) -> None:
    titles = {line.strip() for line in lipschitz("list", cwd=tmp_path).stdout.splitlines()}
    assert set(LISTED) <= titles
    assert set(LISTED) == set(LISTINGS)
    shown = lipschitz("list", "--help", cwd=tmp_path).stdout
    assert all(kind in shown for kind in LISTED)


def test_an_unknown_kind_is_named(tmp_path: Path) -> None:
    done = lipschitz("list", "modles", cwd=tmp_path)
    assert done.returncode == 2
    assert "'modles'; did you mean 'models'?" in done.stderr


def test_the_installed_script_is_the_command_line() -> None:
    script = Path(sys.executable).with_name("lipschitz")
    if not script.exists():
        pytest.skip("needs an installed lipschitz")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert all(
        f" {name} " in done.stdout for name in ("sweep", "report", "status", "measure", "data", "list", "schema")
    )


def test_the_schema_is_written(tmp_path: Path) -> None:
    assert lipschitz("schema", "--out", tmp_path / "sweep.schema.json", cwd=tmp_path).returncode == 0
    assert "constraints" in json.loads((tmp_path / "sweep.schema.json").read_text())["properties"]


@pytest.mark.parametrize(("place", "why"), [("no/x.json", "No such file or directory"), ("", "Is a directory")])
def test_a_place_where_no_schema_can_be_written(place: str, why: str, tmp_path: Path) -> None:
    out = tmp_path / place
    done = lipschitz("schema", "--out", out, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"error: {out}: {why}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["report", "status"])
def test_a_file_instead_of_a_folder_of_results(verb: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SMALL)
    done = lipschitz(verb, "mine.yaml", cwd=tmp_path)
    assert done.returncode == 2
    own = "such as results/NAME for a sweep file with name: NAME"
    assert done.stderr == f"error: mine.yaml is a file; expected a folder of results, {own}\n"


@pytest.mark.parametrize("verb", ["report", "status"])
def test_a_folder_without_results(verb: str, tmp_path: Path) -> None:
    done = lipschitz(verb, tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "sweep.json" in done.stderr
