"""Networks of a finished run are built again from its folder, with the weights that it ended with."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from finished_run import finished, finished_run
from in_process_engine import Untimed
from own_method import METHOD
from sweeps import ONE_CPU, ProgressLog

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.datasets.base import DATASETS
from lipschitz.errors import InputError
from lipschitz.models.base import MODELS
from lipschitz.random_streams import stream
from lipschitz.sweep.definition.recorded_run import _Reader
from lipschitz.sweep.definition.run import _resolved
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import all_jobs
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.trained_run import TrainedRun, load_run
from lipschitz.tasks.generation.samples import POINTS
from lipschitz.tasks.surfaces import values_on_grid

TRAINED = """
    name: trained
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 8, depth: 1}}]
    constraints: [[spectral_normalization, gradient_penalty]]
    generator_constraints: [spectral_normalization]
    training: {steps: 12, batch_size: 8, ema: 0.5}
    evaluation: {every: 4, samples: 32, gradient_samples: 8, select: w1}
"""
CONDITIONAL = """
    name: conditional
    task: generation
    datasets: [digits]
    models: [{dcgan: {width: 4, conditional: true}}]
    constraints: [CONSTRAINT]
    training: {steps: 5}
"""
ONE_NETWORK = {
    "critic": "task: transport\ndatasets: [line]\nconstraints: [cayley]",
    "classifier": "task: classification\ndatasets: [digits]\nconstraints: [aol]",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was trained."""
    results = tmp_path_factory.mktemp("trained")
    (results / "trained.yaml").write_text(dedent(TRAINED))
    plan = load_sweep(results / "trained.yaml", out=results)
    store = SweepFolder(plan.folder)
    (job,) = all_jobs(plan, store, ONE_CPU, {})[:1]
    Untimed().run([job], ONE_CPU, ProgressLog())
    return store.run(job.run.id).path


@pytest.fixture(scope="module")
def run(folder: Path) -> TrainedRun:
    return load_run(folder)


def test_the_last_networks_are_those_whose_samples_and_surface_the_run_saved(run: TrainedRun, folder: Path) -> None:
    saved = RunFolder(folder).samples()
    assert saved is not None
    latents = torch.randn(POINTS, 2, generator=stream(0, "evaluation/shown"))
    with torch.no_grad():
        assert np.array_equal(run.generator(latents).numpy(), saved["samples"])
        extent = tuple(map(float, saved["surface_extent"]))
        surface = values_on_grid(run.discriminator, extent, run.device)  # type: ignore[arg-type]
    assert np.array_equal(surface, saved["surface"])


def test_last_best_and_average_have_the_weights_of_the_file(run: TrainedRun, folder: Path) -> None:
    kept = torch.load(folder / "networks.pt", weights_only=True)
    for which in ("last", "best"):
        found = run.at(which)
        assert found.step == kept["step"][which]
        for name, net in found.networks.items():
            state = net.state_dict()
            assert state.keys() == kept[which][name].keys()
            assert all(torch.equal(value, kept[which][name][key]) for key, value in state.items())
    assert (run.average, run.best.average) == (run.last.networks["average"], run.best.networks["average"])
    assert run.result["best"]["step"] == run.best.step
    assert not any(net.training for net in run.last.networks.values())


def test_samples_of_one_seed_come_from_the_same_latents(run: TrainedRun) -> None:
    samples = run.generate(300)
    assert (samples.shape, samples.dtype) == ((300, 2), torch.float32)
    assert torch.equal(samples, run.generate(300))
    assert torch.equal(torch.cat(list(run.batches(300))), samples)
    latents = torch.randn(300, 2, generator=stream(0, "generate"))
    averaged = run.generate(300, average=True)
    with torch.no_grad():
        assert torch.allclose(run.average(latents), averaged, atol=1e-6)
    assert not torch.equal(averaged, samples)
    assert not torch.equal(run.generate(300, seed=1), samples)


def test_the_global_generator_is_as_before(folder: Path) -> None:
    before = torch.get_rng_state()
    load_run(folder).generate(2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("constraint", ["none", "spectral_normalization", "sandwich", "batch_normalization"])
def test_a_conditional_pair_is_built_again(constraint: str, tmp_path: Path) -> None:
    path, task = finished_run(dedent(CONDITIONAL.replace("CONSTRAINT", constraint)), tmp_path)
    found = load_run(path)
    assert (found.classes, found.shape, found.latent) == (10, (1, 8, 8), 128)
    images, labels = torch.rand(10, 1, 8, 8), torch.arange(10)
    for name, net in task.networks().items():
        inputs = torch.rand(10, 128) if name == "generator" else images
        with torch.no_grad():
            assert torch.equal(found.last.networks[name](inputs, labels), net.eval()(inputs, labels))
    assert torch.equal(found.generate(12), found.generate(12, labels=torch.arange(12) % 10))
    assert not torch.equal(found.generate(2), found.generate(2, labels=torch.tensor([1, 0])))
    for wrong in (torch.arange(3), torch.tensor([0, 10]), torch.tensor([0.0, 1.0])):
        with pytest.raises(InputError, match="expected 2 labels from 0 to 9, int64"):
            found.generate(2, labels=wrong)


@pytest.mark.parametrize("role", ONE_NETWORK)
def test_a_run_of_one_network_has_it_as_its_discriminator(role: str, tmp_path: Path) -> None:
    path, task = finished_run(f"name: one\n{ONE_NETWORK[role]}\ntraining: {{steps: 5}}\n", tmp_path)
    found = load_run(path)
    samples = torch.rand(4, *found.shape)
    with torch.no_grad():
        assert torch.equal(found.discriminator(samples), task.networks()[role].eval()(samples))
    with pytest.raises(InputError, match=f"the run has no generator, only {role}; allowed: a run of the task generat"):
        found.generate(4)


def test_every_config_of_the_package_is_rebuilt_from_what_a_run_records() -> None:
    read, found = _Reader({}), 0
    for point in (CONSTRAINTS, MODELS, DATASETS):
        for kind in point.own.values():
            if any(field.is_required() for field in kind.model_fields.values()):
                continue
            config: Any = kind()
            assert read.fields(point, json.loads(json.dumps(_resolved(config)))) == config
            found += 1
    assert found > 60


def test_a_method_of_a_file_is_loaded_while_the_file_is_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(dedent(METHOD))
    sweep = tmp_path / "trained.yaml"
    sweep.write_text(dedent(TRAINED))
    # Without a plan that names the file, which tries its code in a process of its own.
    run = replace(load_sweep(sweep).runs[0], constraints=(CONSTRAINTS.called(f"{file}:Decay")(),))
    path, _ = finished(run, tmp_path)
    assert load_run(path).generate(2).shape == (2, 2)
    file.write_text(file.read_text() + "\n# Changed.\n")
    with pytest.raises(InputError, match=r"Decay: .*own\.py has changed since the run; allowed: the file as it was"):
        load_run(path)
    file.unlink()
    with pytest.raises(InputError, match=r"Decay is in .*own\.py, which cannot be read: No such file"):
        load_run(path)


def broken(folder: Path, tmp_path: Path, how: str) -> Path:
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    networks = copy / "networks.pt"
    match how:
        case "absent":
            shutil.rmtree(copy)
        case "running":
            (copy / "result.json").unlink()
        case "damaged":
            networks.write_bytes(networks.read_bytes()[:-9])
        case "without networks":
            networks.unlink()
        case "a sweep":
            return folder.parents[1]
    return copy


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("absent", r"no run here \(no run.json\)"),
        ("running", "the run is waiting; its networks are written when it ends"),
        ("damaged", "networks.pt: damaged: its SHA-256 is"),
        ("without networks", "networks.pt: not there; it may not have been copied, and early versions wrote none"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(folder: Path, tmp_path: Path, how: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_run(broken(folder, tmp_path, how))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "cannot generate 0 samples; allowed: 1 or more"),
        ({"n": 1, "which": "first"}, "which 'first' is unknown; allowed: last, best"),
        ({"n": 1, "labels": torch.zeros(1, dtype=torch.int64)}, "its generator takes no labels"),
    ],
)
def test_wrong_arguments_are_refused(run: TrainedRun, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run.generate(**arguments)


def test_a_run_without_a_best_step_or_an_average_says_so(tmp_path: Path) -> None:
    path, _ = finished_run(dedent(TRAINED.replace(", ema: 0.5", "")), tmp_path)
    found = load_run(path)
    assert not found.has("best")
    with pytest.raises(InputError, match=r"it has no best step \(finished\); allowed: last"):
        found.generate(1, which="best")
    with pytest.raises(InputError, match="no average, only discriminator, generator; allowed: a run with training:"):
        found.generate(1, average=True)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path, _ = finished_run(dedent(TRAINED), tmp_path)
    files = RunFolder(path)
    definition = files.definition()
    definition["run"]["model"]["width"] = 9
    files.define(definition)
    with pytest.raises(InputError, match=r"its discriminator is of another version: Error.* in loading state_dict"):
        load_run(path).generate(1)
