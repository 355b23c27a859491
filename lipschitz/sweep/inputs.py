"""What a run's numbers depend on besides its definition and the code: its data, and the networks that judge it.

``run.json`` holds their SHA-256 under ``inputs``: ``data``, ``inception`` (weights of the FID's network, if there are
protocols) and ``classifier`` (the data set's reference classifier). Files with classes are part of a run's id.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from lipschitz.checksums import SHOWN
from lipschitz.datasets.base import Data, ImageData
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.errors import InputError
from lipschitz.features.inception import read_weights
from lipschitz.features.inception_weights import weights_file
from lipschitz.features.reference_classifier import reference_classifier
from lipschitz.metrics.classifier import FrechetClassifier
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.store import SweepFolder

_WHAT = {
    "data": ("{}", "put the data back"),
    "inception": ("weights of the Inception network", "put the file back"),
    "classifier": ("a reference classifier of {}", "use torch, processor and cache of before"),
}
"""By input: what a message calls it, and what the user can do about another one."""


def inputs_of(run: Run, data: Data | PairData, weights: Path | None) -> dict[str, str]:
    """Return the SHA-256 of each input of ``run``, whose data are loaded; ``weights`` is as `weights_file` takes it.

    Raises:
        InputError: there are no weights, or not the published ones; or the cache cannot be written.
    """
    return {"data": data.hash} | _judges(run, weights, lambda: data)


def claim_inputs(jobs: Sequence[Job], hashes: Mapping[str, str], folder: SweepFolder) -> list[Job]:
    """Return the jobs with the inputs that their runs must find, those of all runs that the folder has already.

    Args:
        jobs: of unfinished runs.
        hashes: SHA-256 of the data by label.
        folder: of the sweep; runs of earlier versions, which do not name their inputs, are accepted.

    Raises:
        InputError: an input is missing or broken; or a run in the folder that has recorded something had another one.
    """
    found = {label: {"data": content} for label, content in hashes.items()}
    # One run of each data set and kind of evaluation stands for all.
    kinds = {
        (job.run.dataset.label(), bool(job.run.evaluation.protocols), _uses_classifier(job.run)): job for job in jobs
    }
    for (label, *_), job in kinds.items():
        load = partial(job.run.dataset.load, job.site.data_root, torch.device("cpu"))
        found[label] |= _judges(job.run, job.site.inception_weights, load)
    _refuse_others(folder, found)
    return [replace(job, inputs=found[job.run.dataset.label()]) for job in jobs]


def _judges(run: Run, weights: Path | None, load: Callable[[], Data | PairData]) -> dict[str, str]:
    """Return the SHA-256 of the networks that judge ``run``."""
    found = {}
    if run.evaluation.protocols:
        found["inception"] = read_weights(weights_file(weights))[1]
    if _uses_classifier(run):
        data = load()
        # A task from outside may be judged by a metric of this name on other data.
        if isinstance(data, ImageData):
            found["classifier"] = reference_classifier(data, torch.device("cpu")).sha256
    return found


def _uses_classifier(run: Run) -> bool:
    return FrechetClassifier().label() in run.task.judged_by(run.dataset, run.evaluation)


def _refuse_others(folder: SweepFolder, found: Mapping[str, Mapping[str, str]]) -> None:
    for run in folder.runs():
        try:
            definition = run.definition()
            if not run.records_size() and run.result() is None:
                # It failed before anything was measured.
                continue
            label, theirs = definition["labels"]["dataset"], dict(definition.get("inputs", {}))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for key, ours in found.get(label, {}).items():
            if theirs.get(key, ours) != ours:
                what, remedy = _WHAT[key]
                raise InputError(
                    f"{folder.path}: made with {what.format(label)} of SHA-256 {theirs[key][:SHOWN]}, which now is "
                    f"{ours[:SHOWN]}; {remedy}, or use another --out"
                )


def refuse_changed_inputs(job: Job, found: Mapping[str, str]) -> None:
    """Check that the inputs of a run that is about to begin are those of its sweep.

    Raises:
        InputError: one has changed since the sweep was started.
    """
    for key, expected in job.inputs.items():
        if (actual := found.get(key, expected)) != expected:
            what, remedy = _WHAT[key]
            raise InputError(
                f"{what.format(job.run.dataset.label())} changed since the sweep was started: its SHA-256 was "
                f"{expected[:SHOWN]} and is {actual[:SHOWN]}; {remedy}, and run the sweep again"
            )
