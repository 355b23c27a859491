"""`lipschitz verify` notices one flipped bit, a missing file and a foreign one in every kind of file."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import lipschitz
from counter_task import Counter

from lipschitz.commands.verify import Check, verify
from lipschitz.locks import lock
from lipschitz.sweep.store import SweepFolder
from lipschitz.training.loop import Trainer

RUNS = [f"points-none-s{seed}-0123456{seed}" for seed in (0, 1)]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two runs: one is finished, one was killed at step 100."""
    folder = SweepFolder(tmp_path_factory.mktemp("swept"))
    folder.define({"name": "swept", "runs": RUNS})
    folder.write_provenance({"commit": "0123"})
    folder.write_timing("points-none-89abcdef", {"device": "cpu: a", "n_dis": 1})
    for seed, name in enumerate(RUNS):
        run = folder.run(name)
        run.path.mkdir(parents=True)
        inputs = {"data": "ab" * 32}
        facts = {"id": name, "configuration": "points-none-89abcdef", "seed": seed, "steps": 200, "inputs": inputs}
        run.define(facts)
        trainer = Trainer(Counter(), run, steps=200, every=50, identity={"run": name, **inputs})
        for _ in zip(range(3 if seed else 9), trainer.run(), strict=False):
            pass
        # Also of the run that is finished.
        trainer.save()
        trainer.save()
    return folder.path


@pytest.fixture
def folder(swept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(swept, tmp_path / "swept"))


def faults(folder: Path) -> list[str]:
    check = Check(folder)
    check.all()
    return check.faults


def test_a_whole_folder_is_counted(folder: Path) -> None:
    done = lipschitz("verify", folder, cwd=folder)
    assert (done.returncode, done.stdout) == (0, "2 runs, 14 files, 0 damaged\n")


KINDS = [
    "sweep.json",
    "provenance.json",
    "timing/points-none-89abcdef.json",
    *(f"runs/{RUNS[0]}/{name}" for name in ("run.json", "result.json", "records.jsonl", "samples.npz")),
    *(f"runs/{name}/{file}" for name in RUNS for file in ("checkpoint.pt", "checkpoint.prev.pt")),
    f"runs/{RUNS[1]}/run.json",
    f"runs/{RUNS[1]}/records.jsonl",
]


@pytest.mark.parametrize("name", KINDS[1:])
def test_one_flipped_bit_is_one_line_and_exit_code_1(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / name
    whole = path.read_bytes()
    rng = random.Random(0)
    for _ in range(8):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        assert not verify(folder)
        *lines, last = capsys.readouterr().out.splitlines()
        assert all(line.startswith(f"{path.parent}/") for line in lines)
        # Both checkpoints of an unfinished run have seen its records.
        assert len(lines) == 1 or path.name == "records.jsonl"
        assert last.startswith(f"2 runs, 14 files, {len(lines)} damaged")
    assert lipschitz("verify", folder, cwd=folder).returncode == 1


def test_damaged_networks_are_one_line(folder: Path) -> None:
    path = folder / "runs" / RUNS[0] / "networks.pt"
    whole = path.read_bytes()
    changed = whole.replace(b"last", b"lost")
    assert changed != whole
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (changed, whole[:-50], b"", bytes(flipped)):
        path.write_bytes(damaged)
        (line,) = faults(folder)
        assert line.startswith(f"{path}: ")


def test_a_damaged_sweep_json_is_one_line(folder: Path) -> None:
    path = folder / "sweep.json"
    path.write_text(path.read_text().replace("s1", "s2"))
    done = lipschitz("verify", folder, cwd=folder)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {path}: cannot be read: its content does not have its checksum: damaged, or another run's\n"
    )


@pytest.mark.parametrize("name", [Path(kind).name for kind in KINDS if RUNS[0] in kind])
def test_the_file_of_another_run_is_a_fault(folder: Path, name: str) -> None:
    ours, theirs = (folder / "runs" / run / name for run in RUNS)
    if not theirs.exists():
        theirs, name = theirs.with_name("samples.npz"), "samples.npz"
        np.savez_compressed(theirs, samples=np.zeros(3))
    ours.write_bytes(theirs.read_bytes())
    assert any(line.startswith(f"{ours}: ") for line in faults(folder))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no run.json": (lambda run: (run / "run.json").unlink(), "run.json: "),
    "no records": (lambda run: (run / "records.jsonl").unlink(), "records.jsonl: "),
    "no samples": (lambda run: (run / "samples.npz").unlink(), "samples.npz: "),
    "renamed folder": (lambda run: run.rename(run.with_name("points-none-s0-00000000")), "run.json: "),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_what_is_missing_or_of_another_name_is_a_fault(
    folder: Path, change: Callable[[Path], object], said: str
) -> None:
    change(folder / "runs" / RUNS[0])
    assert any(said in line for line in faults(folder))


def test_a_definition_is_compared_with_its_id(folder: Path) -> None:
    run = SweepFolder(folder).run(RUNS[0])
    run.define(run.definition() | {"seed": 7})
    (line,) = faults(folder)
    assert line.endswith("run.json: its configuration and seed make an id that begins with points-none-s7-")


def test_files_of_an_earlier_version_are_counted_and_are_no_faults(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text())
        content.pop("files", None)
        del content["checksum"]
        path.write_text(json.dumps(content))
    for path in folder.rglob("checkpoint*.pt"):
        path.write_bytes(b"PK" + bytes(100))
    check = Check(folder)
    check.all()
    assert check.faults == []
    done = lipschitz("verify", folder, cwd=folder)
    assert done.stdout == "2 runs, 14 files, 0 damaged, 12 files of an earlier version, without a checksum to check\n"


def test_running_runs_strays_and_files_set_aside_are_counted(folder: Path) -> None:
    SweepFolder(folder).define({"name": "swept", "runs": RUNS[:1]})
    (folder / "runs" / RUNS[0] / "checkpoint.pt.broken").write_bytes(b"")
    with lock(folder / "runs" / RUNS[1] / "lock", wait=False, signed=True):
        done = lipschitz("verify", folder, cwd=folder)
    said = "1 runs not checked, as they are running, 1 runs not in sweep.json, 1 files set aside"
    assert done.stdout == f"2 runs, 10 files, 0 damaged, {said}\n"


def test_without_a_sweep_there_is_nothing_to_verify(tmp_path: Path) -> None:
    done = lipschitz("verify", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}: no results of a sweep here (no sweep.json)\n"


def test_runs_without_a_folder_are_counted(folder: Path) -> None:
    shutil.rmtree(folder / "runs" / RUNS[0])
    done = lipschitz("verify", folder, cwd=folder)
    assert done.stdout.endswith(", 0 damaged, 1 runs of sweep.json without a folder\n")
