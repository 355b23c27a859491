"""Write results folders of classifier sweeps without training, from the values that each run recorded."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from synthetic import PROVENANCE, dump, recorded


class Classifier(NamedTuple):
    """One run: its evaluations are 100 steps apart, the last one has the values of ``last``, too."""

    constraint: str
    seed: int
    curve: Sequence[Mapping[str, float]]
    last: Mapping[str, float]
    definition: Mapping[str, Any] = {}
    """The resolved constraint."""
    labels: Mapping[str, str] = {}
    """Labels other than those of `LABELS`."""
    run: Mapping[str, Any] = {}
    """Fields of the resolved run that are not those of all runs."""
    protocols: Mapping[str, Any] = {}
    """By metric, how it was measured."""
    status: str = "finished"

    @property
    def configuration(self) -> str:
        """The identifier that all seeds share."""
        return "-".join([self.constraint, *self.labels.values()])

    @property
    def id(self) -> str:
        """The name of the run's folder."""
        return f"{self.configuration}-{self.seed}"


LABELS = {
    "task": "classification",
    "dataset": "digits",
    "model": "mlp_classifier",
    "loss": "cross_entropy",
    "setting": "C",
}


def curve(*points: tuple[float, float, float, float]) -> list[dict[str, float]]:
    """Return evaluations by accuracy of training and test images, and cross-entropy of training and test images."""
    return [
        {
            "accuracy/test": test,
            "accuracy/train": train,
            "cross_entropy/test": test_loss,
            "cross_entropy/train": train_loss,
            "accuracy_gap": train - test,
            "loss_gap": test_loss - train_loss,
        }
        for train, test, train_loss, test_loss in points
    ]


def write_classifiers(folder: Path, runs: Sequence[Classifier]) -> Path:
    """Write the results folder ``folder`` of runs that ended, and return it."""
    for run in runs:
        _write(folder / "runs" / run.id, run)
    identifiers = [run.id for run in runs]
    dump(folder / "sweep.json", {"name": "classifiers", "task": "classification", "runs": identifiers})
    dump(folder / "provenance.json", PROVENANCE)
    return folder


def _write(path: Path, run: Classifier) -> None:
    labels = {**LABELS, **run.labels, "constraint": run.constraint}
    steps = 100 * (len(run.curve) - 1)
    definition = {"training": {"steps": steps, "batch_size": 64}, "constraints": [run.definition], **run.run}
    identity = {"id": path.name, "configuration": run.configuration, "labels": labels, "seed": run.seed, "steps": steps}
    dump(path / "run.json", identity | {"run": definition})
    evaluations = [*run.curve[:-1], {**run.curve[-1], **{name: recorded(value) for name, value in run.last.items()}}]
    lines = [
        {"step": 100 * index, "seconds": float(index), "metric": name, "value": value}
        for index, values in enumerate(evaluations)
        for name, value in values.items()
    ]
    (path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    floor = {"accuracy/test": 0.1, "accuracy/train": 0.1, "cross_entropy/test": 2.3, "cross_entropy/train": 2.3}
    result = {
        "status": run.status,
        "step": steps,
        "seconds": 1.0,
        "last": evaluations[-1],
        "best": {"step": steps, "by": "accuracy/train", "values": dict(run.curve[-1])},
        "floor": floor,
        "protocols": dict(run.protocols),
    }
    dump(path / "result.json", result)
