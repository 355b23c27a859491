"""Observers that a sweep file names: they watch every run, and no run depends on them."""

from pathlib import Path

import in_process_engine
import pytest
from command_line import lipschitz
from sweeps import ONE_CPU, SMALL, write

from lipschitz.commands.sweep import Request
from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.training.observers import Csv, Observer

LOGGED = SMALL + "    logging: [csv]\n"


class Mine(Observer):
    """An observer of the command line."""


def test_runs_do_not_depend_on_what_watches_them(tmp_path: Path) -> None:
    plain, logged = (load_sweep(write(tmp_path, text)) for text in (SMALL, LOGGED))
    assert [run.id for run in plain.runs] == [run.id for run in logged.runs]
    assert (plain.logging, logged.logging) == ((), (Csv(),))


def test_the_command_line_adds_to_the_file_and_goes_before_it(tmp_path: Path) -> None:
    request = Request(write(tmp_path, LOGGED), ONE_CPU.__class__(("cpu",), observers=(Mine(), Csv())))
    assert [one.name() for one in request.site_of(request.plan()).observers] == [Mine.name(), "csv"]
    request = Request(write(tmp_path, LOGGED), ONE_CPU)
    assert request.site_of(request.plan()).observers == (Csv(),)


def test_a_part_has_no_observers_of_its_own(tmp_path: Path) -> None:
    text = SMALL.replace("seeds: [0, 1]", "parts: [{seeds: [0], logging: [csv]}]")
    with pytest.raises(InputError, match="'logging' belongs at the top of the file, not in a part"):
        load_sweep(write(tmp_path, text))
    with pytest.raises(InputError, match="unknown observer 'wandbb'"):
        load_sweep(write(tmp_path, LOGGED.replace("csv", "wandbb")))


@pytest.mark.usefixtures("brief_bracket")
def test_files_are_written_beside_the_records(tmp_path: Path) -> None:
    engine = f"{in_process_engine.__file__}:Untimed"
    path = write(tmp_path, LOGGED.replace("[none, spectral_normalization]", "[none]").replace("[0, 1]", "[0]"))
    done = lipschitz("sweep", path, "--limit-steps", 2, "--engine", engine, "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "results" / "small-limit-2" / "runs").iterdir()
    assert (run / "metrics.csv").read_text().startswith("step,seconds,")
    assert (run / "records.jsonl").exists()
