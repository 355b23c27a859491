"""Files of a results folder that are torn, foreign or unreadable: one clear line or less to report, no traceback."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Done, lipschitz
from sweeps import SMALL, write
from synthetic import Plan, write_sweep

ENGINE = Path(__file__).parents[1] / "support" / "in_process_engine.py"
TINY = (SMALL.replace("[0, 1]", "[0]").replace("[none, spectral_normalization]", "[none]").replace("120", "2")).replace(
    "40", "1"
)
Damage = Callable[[Path], object]


def nested(value: Any, depth: int = 3) -> Iterator[Any]:
    """Yield copies of a JSON value in which one part is of another kind."""
    others: tuple[Any, ...] = (5, "5", None, [], {}, [3], {"foo": 1}, 1e400, -1, 10**30, True)
    if depth == 0:
        return
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for place, (key, part) in enumerate(items[:8]):
        changed = value.copy()
        changed[key] = others[place % len(others)] if type(part) is not type(others[place % len(others)]) else None
        yield changed
        for inner in nested(part, depth - 1):
            changed = value.copy()
            changed[key] = inner
            yield changed


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


CONTENTS = {
    "empty": b"",
    "zeros": bytes(512),
    "binary": bytes(range(256)),
    "an object": b'{"foo": 1}\n',
    "a list": b"[1, 2]\n",
    "a number": b"3\n",
    "NaN": b'{"step": NaN, "runs": NaN, "status": NaN}\n',
    "deep": b"[" * 100_000,
    "a long number": b'{"runs": ' + b"9" * 5000 + b"}",
}
DAMAGES: dict[str, Damage] = {
    **{name: lambda path, content=content: path.write_bytes(content) for name, content in CONTENTS.items()},  # type: ignore[misc]
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a folder": as_folder,
    "a pipe": as_pipe,
    "a link to itself": as_loop,
    "a dead link": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}
FILES = ("sweep.json", "provenance.json", "timing/*", "runs/*/run.json", "runs/*/result.json", "runs/*/records.jsonl",
         "runs/*/samples.npz", "runs/*/lock")  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_sweep(
        tmp_path_factory.mktemp("whole") / "out",
        Plan(["eight_gaussians"], ["none", "gradient_penalty"], seeds=[0], evaluations=1),
    )
    for run in (folder / "runs").iterdir():
        (run / "lock").touch()
    return folder


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the figures of arrays alone, where a file is read; all others are drawn from tables."""
    monkeypatch.setattr("lipschitz.commands.report.PANELS", 0)


def first(folder: Path, pattern: str) -> Path:
    return min(folder.glob(pattern))


def is_clear(done: Done) -> bool:
    """Say whether a command went well, or was refused in one line."""
    if done.returncode == 2:
        return done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and len(done.stderr) < 500
    return done.returncode in (0, 1) and "Traceback" not in done.stdout + done.stderr


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("pattern", FILES)
def test_a_damaged_file_is_named_or_left_out(whole: Path, tmp_path: Path, pattern: str) -> None:
    for index, (name, damage) in enumerate(DAMAGES.items(), FILES.index(pattern)):
        folder = shutil.copytree(whole, tmp_path / name)
        damage(first(folder, pattern))
        # A report takes a while: each file meets a third of the damages in one.
        for verb in ("status", "report") if index % 3 == 0 else ("status",):
            assert is_clear(lipschitz(verb, folder, cwd=tmp_path)), (verb, name)


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("pattern", [name for name in FILES if name.endswith((".json", "*"))])
def test_json_of_another_shape_is_named_or_left_out(whole: Path, tmp_path: Path, pattern: str) -> None:
    folder = shutil.copytree(whole, tmp_path / "out")
    path = first(folder, pattern)
    for index, changed in enumerate(nested(json.loads(path.read_text(encoding="utf-8")))):
        path.write_text(json.dumps(changed), encoding="utf-8")
        for verb in ("status", "report") if index % 7 == 0 else ("status",):
            assert is_clear(lipschitz(verb, folder, cwd=tmp_path)), (verb, changed)


@pytest.mark.parametrize("content", ["[3, 4]", '["../../other/runs/x"]', '["/etc"]', '[".."]', '[""]', '["a/b"]', "5"])
def test_a_run_is_a_folder_of_the_sweep(whole: Path, tmp_path: Path, content: str) -> None:
    folder = shutil.copytree(whole, tmp_path / "out")
    (folder / "sweep.json").write_text(f'{{"name": "x", "runs": {content}}}', encoding="utf-8")
    for verb in ("status", "report"):
        done = lipschitz(verb, folder, cwd=tmp_path)
        assert done.returncode == 2
        assert f"{folder / 'sweep.json'}: cannot be read: runs" in done.stderr


@pytest.mark.parametrize(
    "arrays",
    [
        {"samples": np.zeros(3)},
        {"samples": np.float32(1)},
        {"samples": np.zeros((4, 1))},
        {"samples": np.array(["a"])},
        {"samples": np.zeros((4, 2)), "real": np.zeros((4, 3))},
        {"samples": np.zeros((4, 8, 8, 1)), "labels": np.zeros(3)},
        {"samples": np.zeros((4, 2)), "surface": np.zeros((3, 3))},
        {"samples": np.zeros((4, 2)), "surface": np.zeros((0, 3)), "surface_extent": np.zeros(4)},
        {"spectrum/linear0": np.zeros((2, 2))},
    ],
)
def test_arrays_that_are_no_pictures_are_not_drawn(whole: Path, tmp_path: Path, arrays: dict[str, Any]) -> None:
    from lipschitz.report.plots.data import arrays_of
    from lipschitz.report.reading.results import load

    folder = shutil.copytree(whole, tmp_path / "out")
    results = load(folder)
    rows = results.runs[results.runs["constraint"] == "none"]
    assert arrays_of(results, rows) is not None
    np.savez(folder / "runs" / rows.index[0] / "samples.npz", **arrays)
    assert arrays_of(load(folder), rows) is None


def test_numbers_that_are_strings_are_not_averaged(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "out")
    path = first(folder, "runs/*/result.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**result, "last": {**result["last"], "w1": "0.5"}}), encoding="utf-8")
    assert "2 runs: 1 finished, 1 damaged" in lipschitz("status", folder, cwd=tmp_path).stdout


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    assert again(write(folder, TINY).parent).returncode == 0
    return folder


def again(folder: Path) -> Done:
    options = ("--no-report", "--device", "cpu", "--workers", 1, "--engine", f"{ENGINE}:InProcess")
    return lipschitz("sweep", folder / "small.yaml", *options, "--out", folder / "out", cwd=folder)


@pytest.mark.parametrize("pattern", [*FILES, "lock"])
def test_a_sweep_goes_on_over_damaged_files(swept: Path, tmp_path: Path, pattern: str) -> None:
    for name in ("empty", "an object", "a list", "a folder"):
        folder = shutil.copytree(swept, tmp_path / name)
        if pattern != "runs/*/result.json":
            # The run is made again, next to the damaged file.
            first(folder / "out", "runs/*/result.json").unlink()
        DAMAGES[name](first(folder / "out", pattern))
        done = again(folder)
        assert is_clear(done), (name, done)
        if name != "a folder":
            assert done.returncode == 0, (name, done)
            assert "1 run: 1 finished" in lipschitz("status", folder / "out", cwd=folder).stdout
