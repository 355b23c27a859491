"""Time a classifier's training step without a constraint against a plain PyTorch loop. See ``--help``.

Both sides train the same network from the same weights on the same batches, in turn, in one process of one thread.
Before they are timed, their weights are compared after a few updates; if they differ by more than rounding, the row is
not timed. Each row is a network and an optimiser, with the fields that sweeps of classifiers name.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from operation_counts import count_operations
from paired_timing import Pair, interval, medians, show_progress, timed_pairs
from result_files import write_result
from same_step import Side, distance_after
from speed_goals import write_goals
from textbook import Classifier

from lipschitz.constraints.none import NoConstraint
from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.models.base import ClassifierModel
from lipschitz.models.gouk_cnn import GoukCNN
from lipschitz.models.mlp_classifier import MLPClassifier
from lipschitz.random_streams import seeded
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance
from lipschitz.tasks.classification.classifier_training import ClassifierTraining
from lipschitz.tasks.classification.examples import Examples
from lipschitz.tasks.losses import CrossEntropy
from lipschitz.tasks.optimisers import SGD
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import Evaluation, Terms, Training

CLASSES, WARM_UP, COMPARED = 10, 5, 5
HEADINGS = (
    "network",
    "optimiser",
    "ratio, ours to plain",
    "95 % interval",
    "ratio of fastest quarters",
    "ms, ours",
    "ms, plain",
    "pairs",
    "ATen calls, ours",
    "ATen calls, plain",
    "weights differ by",
)


class Pairing(NamedTuple):
    """What both sides train: a network, with the setting of ours and torch's optimiser of the same numbers."""

    model: ClassifierModel
    setting: Setting
    optimiser: Callable[..., torch.optim.Optimizer]

    def build(self, workload: dict[str, Any]) -> tuple[ClassifierTraining, Classifier]:
        """Build both trainings."""
        data, batch_size, device = noise_images(workload), workload["batch_size"], workload["device"]
        terms = Terms(
            self.model,
            (NoConstraint(),),
            CrossEntropy(),
            self.setting,
            0,
            Training(steps=workload["images"] // batch_size, batch_size=batch_size),
            Evaluation(),
            selection="accuracy/train",
            device=device,
        )
        ours = ClassifierTraining(data, terms, train_size=None, validation=0.0, scalar="loss", robustness="never")
        with seeded(0, "weights"):
            net = self.model.build_classifier(data.shape, CLASSES).to(device)
        split = noise_split(workload)
        order = Examples(data, 0, train_size=None, validation=0.0).order
        images, labels = split.images.to(device), split.labels
        assert labels is not None
        return ours, Classifier(net, images, labels.to(device), order, batch_size, self.optimiser)


def pairings() -> list[Pairing]:
    """Return each network with each optimiser."""
    of_torch = partial(torch.optim.SGD, lr=0.05, momentum=0.9, nesterov=True)
    settings = [
        (Setting(optimiser=SGD(momentum=0.9, nesterov=True), lr=0.05), of_torch),
        (Setting(lr=1e-3, betas=(0.9, 0.999)), partial(torch.optim.Adam, lr=1e-3)),
    ]
    return [Pairing(model, *both) for model in (MLPClassifier(), GoukCNN(width=16)) for both in settings]


def noise_split(workload: dict[str, Any]) -> Split:
    """Return uint8 images ``(n, 1, size, size)`` of uniform noise with labels, the same at every call."""
    n, size = workload["images"], workload["size"]
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 1, size, size), generator=rng, dtype=torch.uint8)
    return Split(images, torch.arange(n) % CLASSES)


def noise_images(workload: dict[str, Any]) -> ImageData:
    """Return the images of `noise_split`, to train on and to test on."""
    split = noise_split(workload)
    return ImageData.load(split, split, workload["device"], CLASSES)


def measure(pairing: Pairing, workload: dict[str, Any], count: int) -> dict[str, Any]:
    """Return a row: the times of both sides and their counted operations, or why it is refused."""
    row: dict[str, Any] = {"network": pairing.model.label(), "optimiser": pairing.setting.label()}
    ours, plain = pairing.build(workload)
    found = distance_after(
        Side(partial(ours.step, 0.0), ours.classifier, (ours.classifier,)),
        Side(plain.step, plain.classifier, (plain.classifier,)),
        COMPARED,
    )
    if not found.is_rounding():
        return row | {"refused": f"its first updates are not those of the plain loop, they differ by: {found}"}
    # On other trainings, so that the two timed trainings draw the same batches.
    counted, plainly_counted = pairing.build(workload)
    operations = {
        "ours": count_operations(partial(counted.step, 0.0))._asdict(),
        "plain": count_operations(plainly_counted.step)._asdict(),
    }
    pairs = timed_pairs(plain.step, partial(ours.step, 0.0), count, warm_up=WARM_UP, device=workload["device"])
    timed = list(show_progress(pairs, f"{pairing.model.label()}, {pairing.setting.optimiser.name()}", count))
    differs = found._asdict()
    return row | medians(timed) | {"fastest": fastest(timed), "operations": operations, "differs_by": differs}


def fastest(pairs: Sequence[Pair]) -> float:
    """Return the ratio of both sides' first quartiles: of the steps that other programs disturbed least."""
    ours, plain = (np.quantile([getattr(pair, side) for pair in pairs], 0.25) for side in ("candidate", "baseline"))
    return float(ours / plain)


def main() -> None:
    options = _arguments()
    set_up_torch()
    workload = {
        "images": options.images,
        "size": options.size,
        "batch_size": options.batch_size,
        "device": options.device,
    }
    origin = provenance([str(options.device)], 1, {"noise images": noise_images(workload).hash})
    load = {"start": os.getloadavg()[0]}
    rows = [measure(pairing, workload, options.pairs) for pairing in pairings()]
    load["end"] = os.getloadavg()[0]
    result = {
        "workload": {**workload, "device": str(options.device)},
        "provenance": origin | {"load": load},
        "rows": rows,
    }
    write_result(options.out, "classifier", result, _title(result), [HEADINGS, *map(_row, rows)], "classifier.md")
    write_goals(options.out)
    print(options.out / "classifier.md")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    head = (row["network"], row["optimiser"])
    if "refused" in row:
        return (*head, row["refused"], *["-"] * (len(HEADINGS) - 3))
    return (
        *head,
        f"{row['ratio']['median']:.3f}",
        interval(row["ratio"], 3),
        f"{row['fastest']:.3f}",
        f"{row['ms']['median']:.2f}",
        f"{row['ms_baseline']['median']:.2f}",
        str(row["ratio"]["n"]),
        *(str(row["operations"][side]["aten_calls"]) for side in ("ours", "plain")),
        f"{row['differs_by']['update']:.0e}",
    )


def _title(result: dict[str, Any]) -> str:
    workload, load = result["workload"], result["provenance"]["load"]
    return (
        "# A classifier's training step and a plain loop\n\n"
        f"Images 1x{workload['size']}x{workload['size']} of noise in {CLASSES} classes, batch "
        f"{workload['batch_size']}, float32 without TF32, one thread, cross-entropy, no constraint. The plain loop "
        "takes rows of a tensor of images in an order that was shuffled before, and makes a forward pass, a backward "
        "pass and a step of torch's optimiser. Each row is a median over interleaved pairs of steps, one ours and one "
        "plain, from the same weights on the same batches, with the distribution-free 95 % interval of the median; "
        "then the ratio of both first quartiles, of the steps that other programs disturbed least. Below 1 our step is "
        "faster. ATen calls are the kernels that a GPU launches without CUDA graphs. A row is timed only if the "
        f"weights after {COMPARED} updates are equal up to rounding: the last column is the distance of what they "
        "changed, relative to it.\n\n"
        f"The load average of the machine was {load['start']:.1f} before and {load['end']:.1f} after: other programs "
        "ran beside a load above 1."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time a classifier's training step against a plain PyTorch loop.")
    parser.add_argument("--size", type=int, default=28, help="pixels along a side, at least 4")
    parser.add_argument("--images", type=int, default=5000, help="number of images, a multiple of the batch size")
    parser.add_argument("--batch-size", type=int, default=100, help="images in a step")
    parser.add_argument("--pairs", type=int, default=300, help="pairs of steps for each row")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--out", type=Path, default=Path("results/speed"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
