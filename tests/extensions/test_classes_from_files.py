"""Every extension point takes a class from a file: it is planned, trained and reported, and its origin is kept."""

import json
import pickle
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
    from lipschitz.tasks.losses import Loss
    from lipschitz.tasks.optimisers import Optimiser


    class Wider(EightGaussians):
        \"\"\"Eight Gaussians under another name.\"\"\"


    class Small(MLP):
        \"\"\"A small perceptron.\"\"\"

        width: int = 4
        depth: int = 1


    class LeastSquares(Loss):
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
