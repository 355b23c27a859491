"""The precision of a run: part of what it is, and refused where a method or a device lacks it."""

import json
from pathlib import Path

import pytest
import torch

from lipschitz.commands.sweep import Request
from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.input_checks import check_precisions
from lipschitz.tasks.generation.gan_training import GANTraining

SWEEP = """\
name: small
task: generation
datasets: [digits]
models: [{dcgan: {width: 4}}]
constraints: [none, gradient_penalty]
seeds: [0]
training: {steps: 4, batch_size: 4}
"""


def written(folder: Path, training: str = "", constraints: str = "[none, gradient_penalty]") -> Path:
    path = folder / "small.yaml"
    text = SWEEP.replace("batch_size: 4", f"batch_size: 4{training}")
    path.write_text(text.replace("[none, gradient_penalty]", constraints))
    return path


def judged(folder: Path, protocols: str) -> Path:
    path = written(folder)
    path.write_text(path.read_text() + f"evaluation: {{protocols: [{protocols}]}}\n")
    return path


def test_a_refusal_says_where(tmp_path: Path) -> None:
    path = written(tmp_path, ", precision: bf16", "[none, gradient_normalization]")
    with pytest.raises(
        InputError, match=r"small.yaml:5: constraints\[1\]: .*gradient_normalization takes the input gradient"
    ):
        load_sweep(path)
    with pytest.raises(InputError, match=r"small.yaml:7: training.precision: .*'float32', 'tf32' or 'bf16'.*'fp16'"):
        load_sweep(written(tmp_path, ", precision: fp16"))


def test_precision_is_part_of_what_a_run_is_unless_it_is_float32(tmp_path: Path) -> None:
    plain, named, rough = (
        load_sweep(written(tmp_path, more)).runs[0] for more in ("", ", precision: float32", ", precision: bf16")
    )
    assert named.id == plain.id
    assert "precision" not in json.dumps(plain.canonical())
    assert rough.configuration != plain.configuration, "it is timed apart"
    assert (plain.labels()["setting"], rough.labels()["setting"]) == ("C", "C [bf16]"), "it is compared apart"
    assert rough.definition(4)["run"]["training"]["precision"] == "bf16"
    assert plain.definition(4)["run"]["training"]["precision"] == "float32"


def test_a_job_trains_in_the_precision_of_its_run(tmp_path: Path) -> None:
    (run, _) = load_sweep(written(tmp_path, ", precision: bf16")).runs
    built, seen = Job(run, tmp_path, Site(("cpu",)), "cpu", {}).build(), []
    assert isinstance(built, GANTraining)
    built.generator.get_submodule("output").register_forward_hook(lambda _, args, output: seen.append(output.dtype))
    built.step(0.0)
    assert set(seen) == {torch.bfloat16}


def test_there_is_no_tf32_on_a_cpu(tmp_path: Path) -> None:
    (run, _) = load_sweep(written(tmp_path, ", precision: tf32")).runs
    said = "^precision tf32 is not supported on cpu; supported: float32, bf16$"
    with pytest.raises(InputError, match=said):
        Job(run, tmp_path, Site(("cpu",)), "cpu", {}).build()
    with pytest.raises(InputError, match=said):
        check_precisions(["float32", "tf32"], ["cpu", "cpu"])
    check_precisions(["float32", "bf16"], ["cpu"])
    request = Request(written(tmp_path, ", precision: tf32"), Site(("cpu",)))
    with pytest.raises(InputError, match=said):
        request.check(request.plan(), print)


def test_there_is_no_protocol_in_tf32_on_a_cpu(tmp_path: Path) -> None:
    request = Request(judged(tmp_path, "sngan, {sngan: {precision: tf32}}"), Site(("cpu",)))
    said = r"^protocol sngan\(precision=tf32\): precision tf32 is not supported on cpu; supported: float32$"
    with pytest.raises(InputError, match=said):
        request.check(request.plan(), print)
    with pytest.raises(InputError, match=said):
        Job(request.plan().runs[0], tmp_path, Site(("cpu",)), "cpu", {}).build()
    request = Request(judged(tmp_path, "sngan"), Site(("cpu",)))
    request.check_devices(request.plan())


def test_an_old_device_knows_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.version, "hip", None)
    for precision in ("tf32", "bf16"):
        with pytest.raises(InputError, match=f"^precision {precision} needs compute capability 8.0, cuda:0 has 7.5"):
            check_precisions([precision], ["cuda:0"])
    check_precisions(["float32"], ["cuda:0"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    check_precisions(["tf32", "bf16"], ["cuda:0"])
