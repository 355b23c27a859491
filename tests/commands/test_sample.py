"""``lipschitz sample``: samples of a run's generator as PNG files or an .npz file, which data sets read again."""

from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from command_line import lipschitz
from finished_run import finished_run

import lipschitz as lip
from lipschitz.datasets.images.folder import Folder
from lipschitz.datasets.images.npz import Npz
from lipschitz.tasks.generation.quality import to_bytes

IMAGES = """
    name: images
    task: generation
    datasets: [digits]
    models: [{dcgan: {width: 2, conditional: CONDITIONAL}}]
    constraints: [none]
    training: {steps: 5, ema: 0.9}
"""
POINTS = "name: points\ntask: generation\ndatasets: [eight_gaussians]\nconstraints: [none]\ntraining: {steps: 5}\n"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    texts = {
        "plain": IMAGES.replace("CONDITIONAL", "false"),
        "conditional": IMAGES.replace("CONDITIONAL", "true"),
        "points": POINTS,
    }
    return {name: finished_run(dedent(text), tmp_path_factory.mktemp(name))[0] for name, text in texts.items()}


def images(run: Path, n: int, **options: object) -> np.ndarray:
    """Return what the run generates as uint8 ``(n, h, w, c)``."""
    return to_bytes(lip.load_run(run).generate(n, **options)).permute(0, 2, 3, 1).numpy()  # type: ignore[arg-type]


def test_a_folder_of_pictures_is_the_data_set_folder(runs: dict[str, Path], tmp_path: Path) -> None:
    done = lipschitz("sample", runs["plain"], "-n", 12, "--out", "made", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "made\n", "")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [f"{k:02d}.png" for k in range(12)]
    data = Folder(folder="made", size=8, channels=1, resize="none", held_out=0.25).load(tmp_path, CPU)
    found = torch.cat([*data.chunks("train"), *data.chunks("held_out")]).numpy().transpose(0, 2, 3, 1)
    expected = images(runs["plain"], 12)
    assert sorted(map(bytes, found)) == sorted(map(bytes, expected))


def test_pictures_of_a_conditional_run_are_in_a_folder_for_each_class(runs: dict[str, Path], tmp_path: Path) -> None:
    assert lipschitz("sample", runs["conditional"], "-n", 40, "--out", "made", cwd=tmp_path).returncode == 0
    data = Folder(folder="made", size=8, channels=1, resize="none", num_classes=10).load(tmp_path, CPU)
    assert (data.class_names, data.train.size + data.held_out.size) == (tuple("0123456789"), 40)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "made" / "3").iterdir()) == [
        f"made/3/{number}3.png" for number in range(4)
    ]


def test_a_file_is_the_data_set_npz(runs: dict[str, Path], tmp_path: Path) -> None:
    options = ("-n", 300, "--average", "--seed", 4, "--out", "made.npz")
    done = lipschitz("sample", runs["conditional"], *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "made.npz") as file:
        assert np.array_equal(file["images"], images(runs["conditional"], 300, average=True, seed=4))
        assert np.array_equal(file["labels"], np.arange(300) % 10)
    data = Npz(file="made.npz", size=8, channels=1, num_classes=10).load(tmp_path, CPU)
    assert data.train.size + data.held_out.size == 300


def test_points_go_into_a_file(runs: dict[str, Path], tmp_path: Path) -> None:
    assert (
        lipschitz("sample", runs["points"], "-n", 5, "--out", tmp_path / "new" / "p.npz", cwd=tmp_path).returncode == 0
    )
    with np.load(tmp_path / "new" / "p.npz") as file:
        assert file.files == ["points"]
        assert np.array_equal(file["points"], lip.load_run(runs["points"]).generate(5).numpy())
    refused = lipschitz("sample", runs["points"], "-n", 5, "--out", "made", cwd=tmp_path)
    assert "error: --out made: " in refused.stderr
    assert "generates points, which are no pictures; allowed: a file *.npz" in refused.stderr
    assert not (tmp_path / "made").exists()


def test_what_is_there_is_not_mixed_with_new_samples(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.png").touch()
    (tmp_path / "file").touch()
    (tmp_path / "folder.npz").mkdir()
    for out in ("full", "file", "folder.npz"):
        done = lipschitz("sample", runs["plain"], "-n", 2, "--out", out, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == (
            f"error: --out {out}: it is there already; allowed: an empty or new folder, or a file *.npz\n"
        )
    (tmp_path / "empty").mkdir()
    assert lipschitz("sample", runs["plain"], "-n", 2, "--out", "empty", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--which", "first"], "which 'first' is unknown; allowed: last, best"),
        (["--which", "best"], "it has no best step (finished); allowed: last"),
        (["-n", 0], "Invalid value for '-n'"),
    ],
)
def test_wrong_options_are_one_line(runs: dict[str, Path], tmp_path: Path, options: list[object], message: str) -> None:
    done = lipschitz("sample", runs["plain"], "--out", "made", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr
    assert not list(tmp_path.iterdir())
