"""The sweeps that faults disturb, undisturbed: a finished one, and one that was stopped half-way, for tries to copy."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fault_injection.commands import error_lines
from fault_injection.outcome import read_runs

ENGINE = Path(__file__).with_name("engine.py")
POINTS = """\
name: points
task: generation
datasets: [eight_gaussians]
models: [{mlp: {width: 4, depth: 1}}]
constraints: [none, spectral_normalization, weight_clipping]
seeds: [0]
training: {steps: 80, batch_size: 4}
evaluation: {every: 60, samples: 8, gradient_samples: 2}
"""
IMAGES = """\
name: images
task: generation
datasets: [{npz: {file: data.npz, size: 8, channels: 1, num_classes: 2}}]
models: [{dcgan: {width: 1}}]
constraints: [none]
seeds: [0, 1]
training: {steps: 20, batch_size: 4}
evaluation: {every: 10, samples: 8, gradient_samples: 2}
"""
SWEEPS = {"points": POINTS, "images": IMAGES}
# The second run of a sweep, between two evaluations of points, and at the second of images.
STOPS = {"points": "1:45", "images": "1:10"}
# Another run of it, whose checkpoint is put in the place of others.
OTHER_STOPS = {"points": "0:45", "images": "0:10"}
STRANGER = "stranger.pt"


def write_images(path: Path, seed: int = 0, n: int = 40) -> None:
    """Write ``n`` grey images of noise, 8x8, in two classes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 8, 8), dtype=np.uint8)
    np.savez(path, images=pixels, labels=np.arange(n) % 2)


def make(folder: Path, names: Iterable[str] = SWEEPS) -> None:
    """Make ``<sweep>/whole`` and ``<sweep>/half`` below ``folder``; each holds sweep file, data and ``results/``."""
    from fault_injection.trial import swept

    for name in names:
        for state, stop in (("whole", ""), ("half", STOPS[name]), ("other", OTHER_STOPS[name])):
            place = folder / name / state
            place.mkdir(parents=True)
            (place / f"{name}.yaml").write_text(SWEEPS[name])
            write_images(place / "data.npz")
            os.environ["FAULTS_STOP"] = stop
            done = swept(place, name)
            if done.returncode != (130 if stop else 0):
                raise RuntimeError(f"{name}, {state}: exit {done.returncode}: {error_lines(done.stdout)} {done.stderr}")
        os.environ["FAULTS_STOP"] = ""
        _complete(folder / name, name)
        (stranger,) = (folder / name / "other").rglob("checkpoint.pt")
        shutil.copyfile(stranger, folder / name / "half" / STRANGER)
        assert all(run["records"] for run in read_runs(folder / name / "whole" / "results" / name).values())


def _complete(folder: Path, name: str) -> None:
    """Copy the runs that the half sweep has not begun from the whole one, so that a try has only one to resume."""
    whole, half = (folder / state / "results" / name / "runs" for state in ("whole", "half"))
    for run in whole.iterdir():
        if not (half / run.name).exists():
            shutil.copytree(run, half / run.name)
