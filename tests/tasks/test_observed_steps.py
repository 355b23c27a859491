"""Scalars that a method observes in a step: what is recorded of them, kept, captured and reported."""

import copy
import csv
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar, Literal

import pytest
import torch
from fake_cuda_graph import FakeCudaGraph
from gan_terms import TERMS, with_terms
from small_transport_task import transport
from sweeps import ONE_CPU, SMALL, ProgressLog, write
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.datasets.points import EightGaussians
from lipschitz.metrics.points import W1
from lipschitz.models.mlp import MLP
from lipschitz.observe import observe
from lipschitz.report.write import report
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local
from lipschitz.sweep.store import SweepFolder
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.transport.critic_training import CriticTraining
from lipschitz.training.iterations import WARM_UP, CapturedIterations, CudaGraph, Iterations, Uncapturable

MADE = WARM_UP + 5


class Observing(Constraint):
    """Adds nothing to the loss, and observes in every hook."""

    source: ClassVar[str] = ""
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"

    def update(self, net: nn.Module) -> None:
        observe("weight_norm", torch.stack([weight.norm() for weight in net.parameters()]).sum())

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        observe("mean_output", net(batch.real).mean())
        return batch.real.new_zeros(())

    def project(self, net: nn.Module) -> None:
        observe("undefined", next(net.parameters()).new_full((), torch.nan))


class Reserved(Constraint):
    """Observes a metric of lipschitz."""

    source: ClassVar[str] = ""
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"

    def update(self, net: nn.Module) -> None:
        observe("loss/discriminator", torch.ones(()))


class Late(Constraint):
    """Observes something in later steps only, as the host sees them."""

    source: ClassVar[str] = ""
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"
    calls: ClassVar[list[None]] = []

    def update(self, net: nn.Module) -> None:
        self.calls.append(None)
        if len(self.calls) > WARM_UP:
            observe("late", torch.ones(()))


def gan(*constraints: Constraint, device: str = "cpu") -> GANTraining:
    terms = with_terms(TERMS, model=MLP(width=8, depth=2), selection="w1", constraints=constraints)
    terms = replace(terms, device=torch.device(device))
    return GANTraining(EightGaussians().load(None, terms.device), terms)


@pytest.fixture(params=[gan, transport])
def build(request: pytest.FixtureRequest) -> Any:
    return request.param


def never() -> bool:
    return False


def trained(task: Any, steps: int = MADE) -> Any:
    Iterations(task, 100).make(steps, never)
    return task


def captured(task: GANTraining | CriticTraining) -> CapturedIterations:
    made = CapturedIterations(task, 100, FakeCudaGraph(task.random_streams()), 2)
    made.start(0)
    return made


def test_evaluations_record_the_means_of_what_was_observed(build: Any) -> None:
    task, plain = build(Observing()), build(NoConstraint())
    assert not {"weight_norm", "mean_output", "undefined"} & set(task.evaluate("step 0"))
    norms = []
    for _ in range(3):
        discriminator = task.discriminator if isinstance(task, GANTraining) else task.critic
        norms.append(sum(float(weight.detach().norm()) for weight in discriminator.parameters()))
        task.step(0.0)
    values, expected = task.evaluate("step 3"), trained(plain, 3).evaluate("step 3")
    assert values.pop("weight_norm") == pytest.approx(sum(norms) / 3)
    assert values.pop("mean_output") != 0
    assert str(values.pop("undefined")) == "nan"
    assert values == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
    assert task.is_finite()


def test_observing_needs_no_value_on_the_host(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task = trained(build(Observing()), 1)

    def wait(*_: Any) -> None:
        raise AssertionError("a step waits for the device")

    for method in ("item", "tolist", "__bool__", "__int__", "__float__", "cpu", "numpy"):
        monkeypatch.setattr(Tensor, method, wait)
    task.step(0.0)


def test_a_graph_observes_as_single_steps_do(build: Any) -> None:
    plain, replayed = trained(build(Observing())), build(Observing())
    iterations = captured(replayed)
    assert iterations.make(MADE, never) == MADE
    assert iterations._captured
    ours, theirs = (task.state_dict()["observed"] for task in (replayed, plain))
    assert set(ours) == {"weight_norm", "mean_output", "undefined"}
    for name in ours:
        assert torch.equal(ours[name]["written"], torch.tensor([MADE]))
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.gpu
def test_a_cuda_graph_observes_as_single_steps_do() -> None:
    with torch.cuda.stream(torch.cuda.Stream()):
        plain, replayed = trained(gan(Observing(), device="cuda")), gan(Observing(), device="cuda")
        graph = CudaGraph(torch.cuda.current_stream(), list(replayed.random_streams()))
        iterations = CapturedIterations(replayed, 100, graph, 2)
        assert iterations.make(MADE, never) == MADE
        ours, theirs = (task.state_dict()["observed"] for task in (replayed, plain))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5, equal_nan=True)
        iterations.release()


def test_what_is_new_while_a_graph_is_captured_says_why_it_cannot_be() -> None:
    Late.calls.clear()
    with pytest.raises(Uncapturable, match=r"^RuntimeError: observe\('late'\) was first called in a step that a CUDA"):
        captured(gan(Late())).make(MADE, never)


def test_the_name_of_a_metric_is_refused(build: Any) -> None:
    with pytest.raises(ValueError, match=r"observe\('loss/discriminator'\): that is the name of a metric"):
        build(Reserved()).step(0.0)


def test_the_name_of_a_metric_from_elsewhere_is_refused() -> None:
    class Elsewhere(W1):
        """W1 by the name of an observed scalar."""

        named = "weight_norm"

    terms = with_terms(TERMS, constraints=(Observing(),), metrics=(Elsewhere(),))
    data = EightGaussians().load(None, terms.device)
    task = GANTraining(data, replace(terms, model=MLP(width=4, depth=1), selection="w1"))
    with pytest.raises(ValueError, match=r"observe\('weight_norm'\): that is the name of a metric"):
        task.step(0.0)


def test_a_resumed_run_records_the_same(build: Any) -> None:
    one, other = trained(build(Observing())), build(Observing())
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert other.evaluate("again") == pytest.approx(one.evaluate("again"), rel=0, abs=0, nan_ok=True)
    assert trained(other).evaluate("on")["mean_output"] == trained(one).evaluate("on")["mean_output"]


def test_a_snapshot_brings_back_what_was_observed(build: Any) -> None:
    task = build(Observing())
    before, empty = task.snapshot(), task.evaluate("draw")
    middle, values = trained(task).snapshot(), task.evaluate("draw")
    trained(task).load_snapshot(middle)
    assert task.evaluate("draw")["mean_output"] == values["mean_output"]
    task.load_snapshot(before)
    assert set(task.evaluate("draw")) == set(empty)


def test_a_checkpoint_of_a_method_that_observes_nothing_is_as_before(build: Any) -> None:
    task = trained(build(GradientPenalty()))
    assert "observed" not in task.state_dict()
    assert "observed" not in task.snapshot()
    task.load_state_dict(task.state_dict())


METHOD = """\
    from typing import ClassVar, Literal

    import torch

    from lipschitz.constraints.base import Constraint
    from lipschitz.observe import observe


    class Watched(Constraint):
        \"\"\"No constraint, whose weights are watched.\"\"\"

        source: ClassVar[str] = "Doe 2031, arXiv:3101.00001"
        promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"

        def update(self, net):
            observe("my_weight_norm", torch.stack([weight.norm() for weight in net.parameters()]).sum())
"""


def test_a_method_from_a_file_is_recorded_and_reported(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(dedent(METHOD))
    text = SMALL.replace("[none, spectral_normalization]", '["mine.py:Watched", none]').replace("[0, 1]", "[0]")
    sweep = load_sweep(write(tmp_path, text))
    folder = SweepFolder(tmp_path / "out")
    folder.path.mkdir()
    folder.define(sweep.definition())
    jobs = [Job(run, folder.path, ONE_CPU, "cpu", {}) for run in sweep.runs]
    Local().run(jobs, ONE_CPU, ProgressLog())
    watched, plain = (folder.run(run.id).records() for run in sweep.runs)
    assert [one["step"] for one in watched if one["metric"] == "my_weight_norm"] == [40, 80, 120]
    same = [(one["step"], one["metric"], one["value"]) for one in watched if one["metric"] != "my_weight_norm"]
    assert same == [(one["step"], one["metric"], one["value"]) for one in plain]
    report(folder.path, limit_panels=0)
    with (folder.path / "summary.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "my_weight_norm" and row["which"] == "last"]
    means = {row["constraint"]: row["mean"] for row in rows}
    recorded = [one["value"] for one in watched if one["metric"] == "my_weight_norm"]
    assert float(means["Watched"]) == recorded[-1]
    assert not means["none"]
