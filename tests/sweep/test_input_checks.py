"""Data that cannot be judged are refused before anything runs; what a user should know of them is said once."""

import json
from dataclasses import replace
from pathlib import Path

import in_process_engine
import numpy as np
import pytest
from command_line import lipschitz
from rich.console import Console
from sweeps import ONE_CPU, write

from lipschitz.commands import dry_run
from lipschitz.commands import sweep as command
from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.input_checks import check_data
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.store import SweepFolder

SWEEP = """\
    name: small
    task: generation
    datasets: [DATA]
    models: [{dcgan: {width: 2}}]
    constraints: [none]
    seeds: [0]
    training: {steps: 2, batch_size: 8}
    evaluation: {every: 2, samples: 8, gradient_samples: 2}
"""
SPLIT = "{npz: {file: a.npz, size: 8, num_classes: 2, held_out: HELD}}"
TWO_FILES = "{npz: {file: a.npz, held_out_file: b.npz, size: 8, num_classes: 2}}"
NAME = r"^/.*small\.yaml:3: datasets\[0\]: npz\(file=a\.npz, size=8, num_classes=2.*\): "


def save(folder: Path, name: str, images: np.ndarray, labels: np.ndarray | None = None) -> None:
    labels = np.arange(len(images)) % 2 if labels is None else labels
    np.savez(folder / f"{name}.npz", images=images, labels=labels)


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)


def checked(folder: Path, data: str) -> list[str]:
    """Return the warnings of the data set."""
    warnings: list[str] = []
    assert len(check_data(load_sweep(write(folder, SWEEP.replace("DATA", data))), folder, warnings.append)) == 1
    return warnings


def refused(folder: Path, data: str, message: str) -> None:
    with pytest.raises(InputError, match=NAME + message) as error:
        checked(folder, data)
    assert "\n" not in str(error.value)


def test_held_out_images_that_are_all_trained_on_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "a", images(8))
    refused(
        tmp_path,
        TWO_FILES.replace("b.npz", "a.npz"),
        r"all 8 held-out images are also training images; allowed: images that are not trained on$",
    )
    # In another order, a part of them, and with other labels.
    save(tmp_path, "b", images(8)[[5, 2, 7]])
    refused(tmp_path, TWO_FILES, r"all 3 held-out images are also training images")
    save(tmp_path, "a", np.repeat(images(8), 2, axis=0), np.zeros(16, int))
    refused(tmp_path, SPLIT.replace("HELD", "0.5"), r"all 8 held-out images are also training images")


def test_some_images_that_are_trained_on_are_counted(tmp_path: Path) -> None:
    save(tmp_path, "a", images(8))
    save(tmp_path, "b", np.concatenate([images(3, seed=1), images(8)[2:4]]))
    (warning,) = checked(tmp_path, TWO_FILES)
    assert warning.endswith(": 2 of 5 held-out images are also training images")
    # A difference of one grey level is another image.
    save(tmp_path, "b", images(8) ^ 1)
    assert checked(tmp_path, TWO_FILES) == []


MINE = """\
import torch
from lipschitz.datasets.base import Dataset, ImageData
from lipschitz.datasets.images.split import Split

class Mine(Dataset):
    source = "me"
    kind = "images"
    shape = property(lambda self: (1, 8, 8))
    classes = property(lambda self: 2)

    def load(self, data_root, device):
        split = Split(torch.arange(4 * 64, dtype=torch.uint8).view(4, 1, 8, 8), torch.arange(4) % 2)
        return ImageData.load(split, split, device, 2)
"""
LAST = "return ImageData.load(split, split, device, 2)"


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (LAST, "all 4 held-out images are also training images"),
        (
            "return ImageData.load(split, split, device)",
            "cannot be loaded: ValueError: training images: labels and the",
        ),
        ("return None", "cannot be loaded: AttributeError: 'NoneType' object has no attribute 'hash'"),
        ("return device", "cannot be loaded: AttributeError: "),
        ("raise KeyError('\\x1b' * 500 + '\\n')", r"cannot be loaded: KeyError: '(\\x1b)+"),
        ("raise MemoryError", "does not fit into memory$"),
        ("torch.empty(2**60)", "does not fit into memory$"),
    ],
)
def test_a_class_of_a_file_of_yours_is_checked_too(tmp_path: Path, last: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(MINE.replace(LAST, last))
    with pytest.raises(InputError, match=r"small\.yaml:3: datasets\[0\]: Mine: " + message) as error:
        checked(tmp_path, '"mine.py:Mine"')
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 200 + len(str(tmp_path))


@pytest.mark.parametrize(("n", "held_out"), [(1, 4), (4, 1), (0, 4), (4, 0)])
def test_a_split_of_one_image_is_refused(tmp_path: Path, n: int, held_out: int) -> None:
    save(tmp_path, "a", images(n))
    save(tmp_path, "b", images(held_out, seed=1))
    if 0 in (n, held_out):
        with pytest.raises(
            InputError, match=r"expected images of shape \(n, 8, 8, 3\), n at least 1, got \(0, 8, 8, 3\)"
        ):
            checked(tmp_path, TWO_FILES)
        return
    split = "training" if n == 1 else "held-out"
    refused(tmp_path, TWO_FILES, rf"1 {split} image cannot be evaluated; allowed: 2 or more of each split$")


def test_of_five_images_two_can_be_held_out(tmp_path: Path) -> None:
    save(tmp_path, "a", images(5))
    refused(tmp_path, SPLIT.replace("HELD", "0.4"), "1 held-out image cannot be evaluated")
    assert checked(tmp_path, SPLIT.replace("HELD", "0.5")) == []


def test_classes_without_training_images_are_named(tmp_path: Path) -> None:
    save(tmp_path, "a", images(12), np.arange(12) % 3 * 2)
    (warning,) = checked(tmp_path, SPLIT.replace("num_classes: 2", "num_classes: 7").replace("HELD", "0.5"))
    assert warning.endswith(": 4 of 7 classes have no training images; the first is 1")


def test_warnings_are_shown_once_and_kept_with_the_provenance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "a", images(8))
    save(tmp_path, "b", np.concatenate([images(3, seed=1), images(8)[:1]]))
    path = write(tmp_path, SWEEP.replace("DATA", TWO_FILES))
    request = command.Request(path, replace(ONE_CPU, data_root=tmp_path), tmp_path / "out")
    for part in ("time_groups", "train"):
        monkeypatch.setattr(command, part, lambda *arguments: None)
    for show in (
        lambda console: dry_run.show_plan(request, console),
        lambda console: command.run_sweep(request, console, force=False),
    ):
        with (console := Console(width=500)).capture() as shown:
            show(console)
        assert shown.get().count("1 of 4 held-out images are also training images\n") == 1
    written = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert [line.partition("): ")[2] for line in written["warnings"]] == [
        "1 of 4 held-out images are also training images"
    ]
    assert "warnings" not in provenance(["cpu"], 1, {})


def test_labels_out_of_range_are_refused_with_the_line_of_the_sweep_file(tmp_path: Path) -> None:
    save(tmp_path, "a", images(8), np.arange(8))
    said = r"small\.yaml:3: datasets\[0\]: .*a\.npz: expected labels from 0 to 1, got 2 for image 2$"
    with pytest.raises(InputError, match=said):
        checked(tmp_path, SPLIT.replace("HELD", "0.5"))


@pytest.mark.parametrize(("labels", "code"), [(2, 0), (8, 2), (None, 0)])
def test_a_dry_run_fails_on_files_that_cannot_be_used(tmp_path: Path, labels: int | None, code: int) -> None:
    """Files that are not there may be on another machine: a warning."""
    if labels is not None:
        save(tmp_path, "a", images(8), np.arange(8) % labels)
    path = write(tmp_path, SWEEP.replace("DATA", SPLIT.replace("HELD", "0.5")))
    done = lipschitz("sweep", path, "--dry-run", "--data-root", tmp_path, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == code
    assert "1 unfinished run on" in done.stdout
    assert ("warning: cannot read " in done.stdout) == (labels is None)
    assert done.stderr.startswith(f"error: {path}:3: datasets[0]: ") == (code == 2)


@pytest.mark.usefixtures("brief_bracket")
def test_images_without_labels_are_judged_offline_and_the_judge_is_named(tmp_path: Path) -> None:
    save(tmp_path, "a", images(16))
    text = SWEEP.replace("DATA", "{npz: {file: a.npz, size: 8, held_out: 0.5}}")
    engine = f"{in_process_engine.__file__}:Untimed"
    options = ("--data-root", tmp_path, "--device", "cpu", "--engine", engine, "--out", tmp_path / "out")
    done = lipschitz("sweep", write(tmp_path, text), *options, "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    judged = "no labels, so generated images are judged in features of a network with random weights; evaluation:"
    assert done.stdout.count(judged) == 1
    (run,) = SweepFolder(tmp_path / "out").runs()
    result = run.result()
    assert result is not None
    assert result["best"]["by"] == "frechet_random"
    assert {"frechet_random", "w1_random", "kid_random"} <= result["last"].keys()
    assert not [name for name in result["last"] if name.startswith(("fid", "frechet_classifier"))]
    assert result["protocols"]["frechet_random"]["features"].startswith("network with random weights, not trained, SHA")
    assert result["floor"]["frechet_random"] < result["last"]["frechet_random"]
