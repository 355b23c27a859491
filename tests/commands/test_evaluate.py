"""``lipschitz evaluate``: metrics of two folders or files of images, by the code that judges runs."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Done, lipschitz
from fake_inception import images, network
from PIL import Image
from torch import Tensor

import lipschitz as lip
from lipschitz.features.protocols import Modern
from lipschitz.metrics.frechet import frechet_distance
from lipschitz.metrics.mmd import kid
from lipschitz.metrics.precision_recall import precision_recall_density_coverage
from lipschitz.tasks.generation import image_scores

GENERATED, REAL = images(40, seed=1), images(60, seed=2)
VARIANT = "modern(n_real=60, n_fake=40)"


def pictures(folder: Path, samples: Tensor) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(samples):
        array = pixels.permute(1, 2, 0).numpy()
        Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture
def random_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network with random weights takes the place of Inception, whose weights are not here."""
    monkeypatch.setattr(image_scores, "weights_file", lambda given: given)
    monkeypatch.setattr(image_scores, "load_inception", lambda path, device: network())


@pytest.fixture
def files(tmp_path: Path) -> Path:
    np.savez(tmp_path / "generated.npz", images=GENERATED.permute(0, 2, 3, 1).numpy())
    pictures(tmp_path / "real", REAL)
    return tmp_path


def evaluated(files: Path, *options: object) -> Done:
    return lipschitz("evaluate", "generated.npz", "real", *options, cwd=files)


@pytest.mark.usefixtures("random_features")
def test_the_metrics_are_those_of_the_features(files: Path) -> None:
    done = evaluated(files, "--protocol", "modern", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    fake, real = (network().embed([batch], "pytorch_fid").features for batch in (GENERATED, REAL))
    values = {name.partition("/")[0]: value for name, value in found["values"].items()}
    assert {name.partition("/")[2] for name in found["values"]} == {VARIANT}
    assert values["fid"] == pytest.approx(frechet_distance(fake, real), rel=1e-6)
    assert set(values) >= {"kid", "precision", "recall", "density", "coverage", "inception_score"}
    # KID and precision compare as many real images as generated ones.
    used = image_scores._pair(files / "generated.npz", files / "real", None)[0]
    drawn = image_scores.embed_random_images(used, "train", 60, network(), "pytorch_fid").features[:40]
    assert values["kid"] == pytest.approx(kid(fake, drawn).mean, rel=1e-5)
    assert values["precision"] == precision_recall_density_coverage(fake, drawn, 5).precision
    assert values["recall"] == precision_recall_density_coverage(fake, drawn, 5).recall
    facts = found["protocols"][f"fid/{VARIANT}"]
    assert (facts["n_real"], facts["n_fake"], facts["reference"]) == (60, 40, "real")
    assert "n_floor" not in facts


@pytest.mark.usefixtures("random_features")
def test_the_table_names_the_variant_and_warns_of_few_images(files: Path) -> None:
    done = evaluated(files)
    assert done.returncode == 0
    assert "warning: modern asks for 50,000 generated and 50,000 real images" in done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith(f"fid/{VARIANT}") and line.rstrip().endswith("lower is better") for line in lines)
    assert lines[-1].startswith("features: Inception network of the FID (2015), SHA-256 aaaaaaaaaaaa")


@pytest.mark.usefixtures("random_features")
def test_of_more_images_than_the_protocol_takes_a_draw_is_taken(files: Path) -> None:
    small = Modern(n_real=50, n_fake=30)
    found = lip.evaluate(files / "generated.npz", files / "real", small)
    assert not found.warnings
    assert set(found.values) == set(small.metrics)
    entry = {"modern": {"n_real": 50, "n_fake": 30}}
    assert lip.evaluate(files / "generated.npz", files / "real", entry).values == found.values  # type: ignore[arg-type]


@pytest.mark.usefixtures("random_features")
def test_grey_pictures_resized_ones_and_a_nameless_array_are_read(tmp_path: Path) -> None:
    grey, large = images(20, channels=1, seed=3), images(20, size=9, channels=1, seed=4)
    np.savez(tmp_path / "grey.npz", grey[:, 0].numpy())
    pictures(tmp_path / "grey", grey)
    pictures(tmp_path / "large", large)
    same = lip.evaluate(tmp_path / "grey.npz", tmp_path / "grey")
    assert next(iter(same.values.values())) == pytest.approx(0, abs=1e-6)
    assert same.warnings[0] == f"20 images of {tmp_path / 'grey.npz'} are also in {tmp_path / 'grey'}, pixel by pixel"
    with pytest.raises(lip.InputError, match=r"has images of 9x9 pixels, .* of 8x8; allowed: one size, as by --size 8"):
        lip.evaluate(tmp_path / "large", tmp_path / "grey")
    assert lip.evaluate(tmp_path / "large", tmp_path / "grey", size=8).values


def test_the_classifier_of_a_data_set_judges_without_a_download(tmp_path: Path) -> None:
    pictures(tmp_path / "a", images(20, channels=1, seed=3))
    pictures(tmp_path / "b", images(30, channels=1, seed=4))
    done = lipschitz("evaluate", "a", "b", "--judge", "digits", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["values"]) >= {"frechet_classifier", "kid_classifier"}
    assert not any("fid" in name for name in found["values"])
    facts = found["protocols"]["frechet_classifier"]
    assert facts["features"].startswith("classifier of digits, SHA-256 ")
    assert (facts["n_real"], facts["n_fake"]) == (20, 20)
    for judge, message in {
        "eight_gaussians": "judge eight_gaussians: it has no labelled images, and so no classifier",
        "cifar10": "judge cifar10: its classifier takes images (3, 32, 32), not (1, 8, 8) (c, h, w)",
        "digit": "judge: unknown dataset 'digit'; did you mean 'digits'?",
    }.items():
        refused = lipschitz("evaluate", "a", "b", "--judge", judge, cwd=tmp_path)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert message in refused.stderr


def test_without_weights_it_says_how_to_get_them(files: Path) -> None:
    done = evaluated(files)
    assert done.returncode == 2
    assert "no weights of the FID's Inception network at " in done.stderr
    assert "lipschitz data inception" in done.stderr
    assert "; or judge offline, such as --judge digits" in done.stderr
    typo = lipschitz("evaluate", "absent", "real", cwd=files)
    assert "error: absent is not there; allowed: " in typo.stderr, "what is wrong in any case is said first"


@pytest.mark.usefixtures("random_features")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "absent is not there; allowed: a folder of images, or an .npz file with images (n, h, w, c)"),
        ("text.txt", "text.txt is neither a folder nor an .npz file; allowed: "),
        ("empty", "empty has no images; expected files with the suffixes .bmp"),
        ("wide", "wide/0.png is not square, 9x8; allowed: --size 8"),
        ("broken", "broken/0.png cannot be used as an image"),
        ("other.npz", "other.npz: expected the arrays images, got x"),
        ("floats.npz", "floats.npz: expected images uint8 of shape (n, h, w) or (n, h, w, c), c 1 or 3, got float64"),
        ("torn.npz", "torn.npz is not an .npz file or is truncated"),
        ("few.npz", "3 generated and 60 real images: n_real 60 and n_fake 3 are too few for 5 neighbours"),
    ],
)
def test_images_that_cannot_be_read_are_one_line(files: Path, name: str, message: str) -> None:
    for folder in ("empty", "wide", "broken"):
        (files / folder).mkdir()
    (files / "text.txt").touch()
    Image.new("RGB", (9, 8)).save(files / "wide" / "0.png")
    (files / "broken" / "0.png").write_bytes(b"none")
    np.savez(files / "other.npz", x=np.zeros(3))
    np.savez(files / "floats.npz", images=np.zeros((3, 8, 8)))
    np.savez(files / "few.npz", images=np.zeros((3, 8, 8), dtype=np.uint8))
    (files / "torn.npz").write_bytes(b"PK")
    done = lipschitz("evaluate", name, "real", cwd=files)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert message in done.stderr
