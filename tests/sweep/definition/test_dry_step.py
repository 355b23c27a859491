"""A configuration of which a training step fails is refused by the plan, in one line with the key at fault."""

import os
from pathlib import Path
from unittest import mock

import pytest
import torch
from sweeps import SMALL, write

from lipschitz.errors import InputError
from lipschitz.sweep.definition import call_apart, dry_step, expansion
from lipschitz.sweep.definition.peak_bytes import PeakBytes
from lipschitz.sweep.definition.sweep_file import load_sweep

MLP = "{mlp: {width: 8, depth: 1}}"
IMAGES = SMALL.replace("eight_gaussians", "digits").replace(MLP, "{resnet: {width: 4}}")
METHODS = '''\
"""Methods whose steps fail, or need values."""

import os

import torch

from lipschitz.constraints.base import Constraint
from lipschitz.tasks.losses import GANLoss


class Wrong(Constraint):
    promise = "none"

    def penalty(self, net, batch, rng):
        torch.set_default_dtype(torch.float64)
        return batch.real @ batch.real


class Exits(Constraint):
    promise = "none"

    def penalty(self, net, batch, rng):
        raise SystemExit(0)


class Changes(Constraint):
    promise = "none"

    def penalty(self, net, batch, rng):
        torch.set_default_dtype(torch.float64)
        return batch.real.sum()


class Hangs(Constraint):
    promise = "none"

    def penalty(self, net, batch, rng):
        while True:
            pass


class Ends(Constraint):
    promise = "none"

    def penalty(self, net, batch, rng):
        os._exit(0)


class Values(Constraint):
    """It needs values, which there are none of on the meta device."""

    promise = "none"

    def penalty(self, net, batch, rng):
        return batch.real.sum() if batch.real.sum().item() > 1e9 else batch.real.new_zeros(())


class WrongValues(Constraint):
    promise = "none"

    def penalty(self, net, batch, rng):
        return batch.real if batch.real.sum().item() < 1e9 else batch.real.sum()


class WrongLoss(GANLoss):
    def discriminator(self, real, generated):
        return real - generated

    def generator(self, generated):
        return generated.mean()
'''
FEW = "Expected more than 1 value per channel when training"
# The sweep file, the line and key that the error names, and what it says.
REFUSED = {
    "batch normalization of one sample": (SMALL.replace("[none, spectral", "[none, batch").replace("batch_size: 8", "batch_size: 1"), 7, "training.batch_size", FEW),
    "a ResNet of one tiny image": (IMAGES.replace("batch_size: 8", "batch_size: 1"), 7, "training.batch_size", FEW),
    "one generated image": (IMAGES.replace("batch_size: 8", "batch_size: 8, generator_batch_size: 1"), 7, "training.batch_size", FEW),
    "a wrong shape": (SMALL.replace("spectral_normalization", "methods.py:Wrong"), 5, "constraints[1]", "must have same reduction dim"),
    "a method that exits": (SMALL.replace("spectral_normalization", "methods.py:Exits"), 5, "constraints[1]", "SystemExit: 0"),
    "a method that ends the process": (SMALL.replace("spectral_normalization", "methods.py:Ends"), 5, "constraints[1]", "it ends the process"),
    "a global setting": (SMALL.replace("spectral_normalization", "methods.py:Changes"), 5, "constraints[1]", "changed torch's default dtype from torch.float32 to torch.float64"),
    "a wrong shape behind a value": (SMALL.replace("spectral_normalization", "methods.py:WrongValues"), 5, "constraints[1]", "grad can be implicitly created only for scalar"),
    "a loss that is no scalar": (SMALL.replace("seeds:", "losses: [hinge, methods.py:WrongLoss]\n    seeds:"), 6, "losses[1]", "RuntimeError"),
    "a network beyond the memory": (SMALL.replace("width: 8, depth: 1", "width: 1000000, depth: 2"), 4, "models[0]", "it needs at least 14,90"),
    "a batch beyond the memory": (IMAGES.replace("width: 4", "width: 256").replace("batch_size: 8", "batch_size: 1000000"), 7, "training.batch_size", "it needs at least"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_cannot_be_trained_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, line, key, said = REFUSED[case]
    (tmp_path / "methods.py").write_text(METHODS)
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        load_sweep(path)
    message = str(error.value)
    assert message.startswith(f"{path}:{line}: {key}: ")
    assert ": a training step fails: " in message
    assert said in message
    assert len(message) - len(str(path)) <= 200
    assert torch.get_default_dtype() == torch.float32


def test_a_method_that_hangs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "methods.py").write_text(METHODS)
    monkeypatch.setattr(dry_step, "TIME_LIMIT", 1.0)
    with pytest.raises(InputError, match=r"constraints\[1\]: .* no answer after 1 s"):
        load_sweep(write(tmp_path, SMALL.replace("spectral_normalization", "methods.py:Hangs")))


def test_a_method_is_not_refused_where_no_process_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "methods.py").write_text(METHODS)
    # A process that ends before it says that it has started, as in a script that is not guarded by `__name__`.
    monkeypatch.setattr(call_apart, "_answer", os._exit)
    assert load_sweep(write(tmp_path, SMALL.replace("spectral_normalization", "methods.py:Ends"))).runs


def test_a_method_that_needs_values_is_tried_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "methods.py").write_text(METHODS)
    tried, make_step = [], dry_step._make_step
    monkeypatch.setattr(
        dry_step,
        "_make_step",
        lambda one, device: (tried.append((device.type, one.training.batch_size)), make_step(one, device)),
    )
    state = torch.get_rng_state()
    # In this process, where the test sees it.
    monkeypatch.setattr(dry_step, "call_apart", lambda call, one, seconds: call(one))
    assert len(load_sweep(write(tmp_path, SMALL.replace("spectral_normalization", "methods.py:Values"))).runs) == 4
    assert tried[-2:] == [("meta", 8), ("cpu", 2)]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_step_is_made_once_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, make_step = [], dry_step._make_step
    monkeypatch.setattr(dry_step, "_make_step", lambda one, device: (tried.append(one), make_step(one, device)))
    settings = "    settings: [A, B, C]\n"
    text = SMALL.replace("[0, 1]", "[0, 1, 2]").replace("batch_size: 8", "batch_size: 11")
    assert len(load_sweep(write(tmp_path, text + settings)).runs) == 18
    # One for each constraint, and one that counts bytes, of the bare networks.
    assert len(tried) == 3


def test_starts_of_the_weights_share_a_step_unless_it_needs_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "methods.py").write_text(METHODS)
    tried, make_step = [], dry_step._make_step
    monkeypatch.setattr(
        dry_step,
        "_make_step",
        lambda one, device: (tried.append((device.type, one.model.init)), make_step(one, device)),
    )
    monkeypatch.setattr(dry_step, "call_apart", lambda call, one, seconds: call(one))
    wrap = mock.Mock(wraps=expansion.constrain)
    monkeypatch.setattr(expansion, "constrain", wrap)
    starts = f"[{MLP}, {{mlp: {{width: 8, depth: 1, init: normal}}}}]"
    text = SMALL.replace("spectral_normalization", "methods.py:Values").replace(f"[{MLP}]", starts)
    assert len(load_sweep(write(tmp_path, text.replace("width: 8", "width: 9"))).runs) == 8
    # One without values for each constraint, and one that counts bytes.
    assert tried == [("meta", None), ("meta", None), ("meta", None), ("cpu", None), ("cpu", "normal")]
    assert wrap.call_count == 2


def test_bytes_are_those_that_are_alive_at_once() -> None:
    with PeakBytes() as count:
        for _ in range(3):
            kept = torch.zeros(1000, device="meta")
            kept.view(10, 100).t()
        torch.zeros(500, device="meta")
    # The last of the three is made while the one before it is still alive.
    assert count.peak == 8000
    del kept
