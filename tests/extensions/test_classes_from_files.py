"""Every extension point takes a class from a file: it is planned, trained and reported, and its origin is kept."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from lipschitz.cli import app
from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import load_sweep

EXTENSIONS = """\
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from lipschitz.datasets.points import EightGaussians
    from lipschitz.models.mlp import MLP
    from lipschitz.tasks.losses import GANLoss
    from lipschitz.tasks.optimisers import Optimiser


    class Wider(EightGaussians):
        \"\"\"Eight Gaussians under another name.\"\"\"


    class Small(MLP):
        \"\"\"A small perceptron.\"\"\"

        width: int = 4
        depth: int = 1


    class LeastSquares(GANLoss):
        \"\"\"Least squares.\"\"\"

        source = "Mao et al. 2017, arXiv:1611.04076, eq. 2"

        target: float = 1.0

        def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
            return (real - self.target).square().mean() + generated.square().mean()

        def generator(self, generated: Tensor) -> Tensor:
            return (generated - self.target).square().mean()


    class Sgd(Optimiser):
        \"\"\"Gradient descent with momentum.\"\"\"

        momentum: float = 0.0

        def build(self, parameters, lr, betas, *, on_cuda):
            return torch.optim.SGD(parameters, lr=lr, momentum=self.momentum)
"""
SWEEP = """\
    name: outside
    task: generation
    datasets: ["mine.py:Wider"]
    models: ["mine.py:Small"]
    constraints: [none]
    losses: ["mine.py:LeastSquares", {"mine.py:LeastSquares": {target: 0.5}}]
    settings: [{optimiser: {"mine.py:Sgd": {momentum: 0.9}}, lr: 1e-3}]
    seeds: [0]
    training: {steps: 4, batch_size: 8}
    evaluation: {every: 4, samples: 32, gradient_samples: 8}
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(dedent(EXTENSIONS))
    path = tmp_path / "outside.yaml"
    path.write_text(dedent(SWEEP))
    return path


def test_labels_name_the_classes(sweep_file: Path) -> None:
    first, second = load_sweep(sweep_file).runs
    assert first.labels() == {
        "task": "generation",
        "dataset": "Wider",
        "model": "Small",
        "constraint": "none",
        "loss": "LeastSquares",
        "setting": "Sgd(lr=0.001, momentum=0.9)",
    }
    assert second.labels()["loss"] == "LeastSquares(target=0.5)"
    assert set(first.definition(4)["outside"]) == {"Wider", "Small", "LeastSquares", "Sgd"}
    assert pickle.loads(pickle.dumps(first)) == first


def test_an_edited_file_makes_other_runs(sweep_file: Path) -> None:
    before = [run.id for run in load_sweep(sweep_file).runs]
    assert before == [run.id for run in load_sweep(sweep_file).runs]
    source = sweep_file.with_name("mine.py")
    source.write_text(source.read_text() + "# edited\n")
    assert not set(before) & {run.id for run in load_sweep(sweep_file).runs}


def test_one_name_is_one_class_in_all_parts(sweep_file: Path) -> None:
    for folder in ("a", "b"):
        (sweep_file.parent / folder).mkdir()
        (sweep_file.parent / folder / "mine.py").write_text(dedent(EXTENSIONS) + f"# {folder}\n")
    whole = sweep_file.read_text()
    parts = [{"datasets": ["a/mine.py:Wider"]}, {"datasets": ["b/mine.py:Wider"]}]
    sweep_file.write_text(whole.replace('datasets: ["mine.py:Wider"]\n', f"parts: {json.dumps(parts)}\n"))
    with pytest.raises(InputError, match="two different classes are called Wider; rename one"):
        load_sweep(sweep_file)
    # A second optimiser of the same name, in another setting of the same part.
    one = 'optimiser: {"mine.py:Sgd": {momentum: 0.9}}, lr: 1e-3'
    sweep_file.write_text(whole.replace(f"[{{{one}}}]", f'[{{{one}}}, {{optimiser: "a/mine.py:Sgd"}}]'))
    with pytest.raises(InputError, match="two different classes are called Sgd; rename one"):
        load_sweep(sweep_file)
    # The same content at two places is one class.
    (sweep_file.parent / "a" / "mine.py").write_text(dedent(EXTENSIONS))
    assert len(load_sweep(sweep_file).runs) == 4


def test_an_optimiser_has_no_field_of_a_setting(sweep_file: Path) -> None:
    source = sweep_file.with_name("mine.py")
    source.write_text(
        source.read_text().replace("momentum: float = 0.0", "momentum: float = 0.0\n    decay: float = 0.1")
    )
    with pytest.raises(InputError, match="optimiser Sgd and settings both have the field 'decay'"):
        load_sweep(sweep_file)


def test_importing_lipschitz_loads_no_entry_point(tmp_path: Path) -> None:
    """A package that re-exports a class from its ``__init__`` imports lipschitz while lipschitz looks for it."""
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").write_text(
        "from lipschitz.sweep.definition.sweep_file import Sweep\nfrom own_package.losses import Own\n"
    )
    (tmp_path / "own_package" / "losses.py").write_text(
        "from lipschitz.tasks.losses import Hinge\nclass Own(Hinge):\n    'Own.'\n    source = 'here'\n"
    )
    info = tmp_path / "own_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lipschitz.losses]\nown = own_package.losses:Own\n")
    command = "from lipschitz.sweep.definition.axes import Axes; from lipschitz.tasks.losses import LOSSES; print(LOSSES['own'])"
    done = subprocess.run(
        [sys.executable, "-c", command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "<class 'own_package.losses.Own'>\n", done.stderr


def test_they_are_trained_in_workers_and_reported(sweep_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["sweep", str(sweep_file), "--out", str(out), "--workers", "1"])
    assert done.exit_code == 0, done.output
    results = [json.loads(path.read_text())["status"] for path in out.glob("runs/*/result.json")]
    assert results == ["finished", "finished"]
    assert "LeastSquares" in (out / "table.md").read_text()
    assert "1611.04076" in (out / "references.bib").read_text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("mine.py:LeastSquare", "'LeastSquare' is not there; did you mean 'LeastSquares'?"),
        ("mine.py:Small", "'Small' is not a public subclass of Loss defined here"),
        ("gone.py:Loss", "gone.py: cannot be read"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(sweep_file: Path, wrong: str, said: str) -> None:
    sweep_file.write_text(sweep_file.read_text().replace('["mine.py:LeastSquares", ', f'["{wrong}", '))
    with pytest.raises(InputError) as error:
        load_sweep(sweep_file)
    assert f"{sweep_file}:6: losses[0]: " in str(error.value)
    assert said in str(error.value)
