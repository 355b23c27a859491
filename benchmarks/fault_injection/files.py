"""Files of every kind that are torn, flipped in one bit, swapped or foreign, between stop and resume."""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from fault_injection.fault import Fault, Try
from fault_injection.references import STRANGER, write_images
from fault_injection.trial import Trial

# Of each kind of file: its pattern in the results folder. Of several one is drawn.
KINDS = {
    "checkpoint": "runs/*/checkpoint.pt",
    "previous checkpoint": "runs/*/checkpoint.prev.pt",
    "records": "runs/*/records.jsonl",
    "result": "runs/*/result.json",
    "samples": "runs/*/samples.npz",
    "networks": "runs/*/networks.pt",
    "run.json": "runs/*/run.json",
    "sweep.json": "sweep.json",
    "provenance": "provenance.json",
    "timing": "timing/*.json",
}
FOREIGN_JSON = (
    b"{}",
    b"[]",
    b"null",
    b"3",
    b'"x"',
    b'{"foo": 1}',
    b'{"runs": [1, 2]}',
    b'{"runs": ["../../other/runs/x"]}',
)
Damage = Callable[[Trial, Path], None]


def torn(trial: Trial, path: Path) -> None:
    """Keep a random part of the file, nothing of it, or zeros in the place of the rest, as after a power cut."""
    content = path.read_bytes()
    size = trial.rng.choice((0, trial.rng.randrange(len(content))))
    path.write_bytes(content[:size] + bytes(trial.rng.choice((0, len(content) - size))))


def flipped(trial: Trial, path: Path) -> None:
    """Flip one random bit."""
    content = bytearray(path.read_bytes())
    content[trial.rng.randrange(len(content))] ^= 1 << trial.rng.randrange(8)
    path.write_bytes(content)


def swapped(trial: Trial, path: Path) -> None:
    """Put the same kind of file in its place: of another run, or of this run at another step, or an older one."""
    name = path.name
    others = [other for other in trial.folder.rglob(name) if other != path]
    if name in ("checkpoint.pt", "checkpoint.prev.pt"):
        others.append(path.with_name("checkpoint.prev.pt" if name == "checkpoint.pt" else "checkpoint.pt"))
    if path.parent.name == "timing":
        others = [other for other in path.parent.iterdir() if other != path]
    if not others:
        others = [other for other in trial.folder.rglob("*.json") if other != path]
    if path.suffix == ".pt":
        others.append(trial.place / STRANGER)
    shutil.copyfile(trial.rng.choice(others), path)


def foreign(trial: Trial, path: Path) -> None:
    """Put something else in its place: noise, text, JSON of another kind, a pickle of another kind, or NumPy's."""
    options: list[Callable[[], object]] = [
        lambda: path.write_bytes(trial.rng.randbytes(trial.rng.randrange(1, 2000))),
        lambda: path.write_text("not what is expected\n", encoding="utf-8"),
        lambda: path.write_bytes(trial.rng.choice(FOREIGN_JSON)),
    ]
    if path.suffix == ".pt":
        values = ([1, 2], torch.zeros(3), {}, {"step": 10**9}, {"format": 2}, None, "x", {"format": "x", "task": {}})
        options = [*options[:1], *(lambda value=value: torch.save(value, path) for value in values)]
    if path.suffix == ".npz":
        options.append(lambda: write_images(path))
    trial.rng.choice(options)()


def damaged(trial: Trial, kind: str, damage: Damage) -> None:
    """Damage a file of a half sweep; then resume, look, and do as the message says: remove what is named."""
    trial.begin("half")
    paths = sorted(trial.folder.glob(KINDS[kind]))
    if not paths:
        trial.outcome.where = "there is no such file"
        return
    path = trial.rng.choice(paths)
    damage(trial, path)

    def mend() -> None:
        shutil.rmtree(path.parent) if path.parent.parent.name == "runs" else path.unlink(missing_ok=True)

    trial.settle(mend)


def data_damaged(trial: Trial, damage: Damage) -> None:
    """Damage the data set's file between stop and resume; the user puts it back."""
    trial.begin("half")
    path = trial.place / "data.npz"
    kept = path.read_bytes()
    if damage is swapped:
        write_images(path, seed=trial.rng.randrange(1, 10**6))
    else:
        damage(trial, path)
    trial.settle(lambda: path.write_bytes(kept))


def data_changed_between_seeds(trial: Trial) -> None:
    """Change one pixel of the data once the first seed is finished and the second was not begun."""
    trial.begin("half")
    shutil.rmtree(trial.runs[1])
    path = trial.place / "data.npz"
    kept = path.read_bytes()
    write_images(path, seed=trial.rng.randrange(1, 10**6))
    trial.settle(lambda: path.write_bytes(kept))


def _damaged(kind: str, damage: Damage) -> Try:
    return lambda trial: damaged(trial, kind, damage)


def _data_damaged(damage: Damage) -> Try:
    return lambda trial: data_damaged(trial, damage)


ALLOWED = ("equal", "named", "refused", "failed alone")
DAMAGES: tuple[Damage, ...] = (torn, flipped, swapped, foreign)
FAULTS = [
    *(
        Fault("files", f"{kind}: {damage.__name__}", ALLOWED, _damaged(kind, damage))
        for kind in KINDS
        for damage in DAMAGES
    ),
    *(
        Fault("files", f"data set: {damage.__name__}", ALLOWED, _data_damaged(damage), sweep="images")
        for damage in DAMAGES
    ),
    Fault("files", "data changed between seeds", ("refused",), data_changed_between_seeds, sweep="images"),
]
