"""Folders that are moved, deleted, linked or copied, between two sweeps or while one runs."""

import shutil
from pathlib import Path

from fault_injection.fault import Fault
from fault_injection.machine import SAID, judged
from fault_injection.trial import Trial


def moved(trial: Trial) -> None:
    """Move the results to another folder between stop and resume."""
    trial.begin("half")
    elsewhere = trial.place / "results" / "elsewhere"
    trial.folder.rename(elsewhere)
    done = trial.sweep("--out", elsewhere)
    trial.call("status", elsewhere)
    elsewhere.rename(trial.folder)
    trial.how("equal" if done.returncode == 0 else f"exit {done.returncode}")
    trial.compare()


def moved_while_running(trial: Trial) -> None:
    """Move the results while a sweep runs, and back when it has ended."""
    trial.begin("new")
    process = trial.start()
    trial.wait_for_records(process, trial.rng.uniform(0, 0.6))
    elsewhere = trial.folder.with_name("elsewhere")
    trial.folder.rename(elsewhere)
    done = trial.ended(process)
    # What the sweep has made in the old place meanwhile is nothing that a user keeps.
    shutil.rmtree(trial.folder, ignore_errors=True)
    elsewhere.rename(trial.folder)
    judged(trial, done)
    trial.finish()


def deleted_while_running(trial: Trial) -> None:
    """Delete the results, or the folder of one run, while a sweep runs."""
    trial.begin("new")
    process = trial.start()
    trial.wait_for_records(process, trial.rng.uniform(0, 0.6))
    shutil.rmtree(trial.rng.choice([trial.folder, *(trial.folder / "runs").glob("*")]), ignore_errors=True)
    judged(trial, trial.ended(process))
    trial.finish()


def deleted(trial: Trial) -> None:
    """Delete a random file or folder of the results between stop and resume."""
    trial.begin("half")
    path = trial.rng.choice([path for path in sorted(trial.folder.rglob("*")) if path.name != "lock"])
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    trial.settle(lambda: shutil.rmtree(path if path.is_dir() else path.parent, ignore_errors=True))


def linked(trial: Trial) -> None:
    """Put a symbolic link in the place of the results, of ``runs``, or of the folder of one run."""
    trial.begin("half")
    path = trial.rng.choice([trial.folder, trial.folder / "runs", *trial.runs[:2]])
    target = trial.place / "elsewhere"
    path.rename(target)
    path.symlink_to(target)
    trial.settle(path.unlink)


def link_in_a_circle(trial: Trial) -> None:
    """Put a symbolic link to itself in the place of a file or of a run's folder."""
    trial.begin("half")
    run = trial.rng.choice(trial.runs[:2])
    path = trial.rng.choice([run, *(path for path in sorted(run.iterdir()) if path.name != "lock")])
    kept = trial.place / "kept"
    path.rename(kept)
    path.symlink_to(path)

    def mend() -> None:
        path.unlink(missing_ok=True)
        kept.rename(path)

    trial.settle(mend)


def folder_for_a_file(trial: Trial) -> None:
    """Put a folder in the place of a file of a run."""
    trial.begin("half")
    path = trial.rng.choice([path for path in sorted(trial.runs[1].iterdir()) if path.name != "lock"])
    path.unlink()
    path.mkdir()
    trial.settle(lambda: _remove(path))


def run_in_the_place_of_another(trial: Trial) -> None:
    """Put a copy of one run's folder in the place of another's."""
    trial.begin("half")
    source, target = trial.rng.sample(trial.runs[:2], 2)
    shutil.rmtree(target)
    shutil.copytree(source, target)
    trial.settle(lambda: shutil.rmtree(target, ignore_errors=True))


def strange_files(trial: Trial) -> None:
    """Put files and folders of no meaning into the results."""
    trial.begin("half")
    places = [trial.folder, trial.folder / "runs", trial.folder / "timing", *trial.runs[:2]]
    for name in (".DS_Store", "Thumbs.db", "checkpoint.pt.tmp", "notes", "a\nb", "\x1b[31mred", "[bold]x", "x.json"):
        path = trial.rng.choice(places) / name
        path.write_bytes(trial.rng.randbytes(trial.rng.randrange(100)))
    trial.settle(lambda: None)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


MENDED = ("equal", "named", "refused", "failed alone")
FAULTS = [
    Fault("folders", "results moved between stop and resume", ("equal",), moved),
    Fault("folders", "results moved while running", SAID, moved_while_running),
    Fault("folders", "results deleted while running", SAID, deleted_while_running),
    Fault("folders", "file or folder deleted", MENDED, deleted),
    Fault("folders", "symbolic links in the place of folders", MENDED, linked),
    Fault("folders", "symbolic links to themselves", MENDED, link_in_a_circle),
    Fault("folders", "folder in the place of a file", MENDED, folder_for_a_file),
    Fault("folders", "a run's folder in the place of another's", MENDED, run_in_the_place_of_another),
    Fault("folders", "strange files between the results", ("equal", "named"), strange_files),
]
