"""Weights as people have them: nested, prefixed, of older versions of torch, safetensors; and one line where not."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils import spectral_norm as spectral_norm_hook

from lipschitz.commands.weight_files import load_weights
from lipschitz.errors import InputError

State = dict[str, Tensor]


def critic(width: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 1))


def filled(net: nn.Module, value: float) -> State:
    return {name: torch.full_like(tensor, value) for name, tensor in net.state_dict().items()}


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: value for name, value in state.items()}


@pytest.fixture
def save(tmp_path: Path) -> Callable[[object], Path]:
    def write(content: object) -> Path:
        torch.save(content, tmp_path / "file.pt")
        return tmp_path / "file.pt"

    return write


THREE = filled(critic(), 3)
OPTIMISER = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(2, 3)}}, "param_groups": [{"lr": 0.1}]}
GENERATOR = filled(nn.Linear(9, 9), 1)
FILES = {
    "plain": THREE,
    "nested": {"state_dict": THREE, "optimizer": OPTIMISER, "epoch": 3},
    "nested twice": {"networks": {"discriminator": THREE, "generator": GENERATOR}},
    "of DataParallel": prefixed(THREE, "module."),
    "of torch.compile within DataParallel": {"model": prefixed(THREE, "module._orig_mod.")},
    "with a wrapper inside": {name.replace("0.", "0.module."): value for name, value in THREE.items()},
    "a part of a whole GAN": prefixed(THREE, "netD.") | prefixed(GENERATOR, "netG."),
    "an average of weights": {"n_averaged": torch.tensor(7)} | prefixed(THREE, "module."),
    "once more by another name": {"model": THREE, "again": THREE},
    "without num_batches_tracked": {key: value for key, value in THREE.items() if "tracked" not in key},
    "with a smaller network": {"ema": filled(critic(1), 1), "model": THREE},
}


@pytest.mark.parametrize("name", FILES)
def test_the_state_dict_that_fits_is_loaded(name: str, save: Callable[[object], Path]) -> None:
    net = critic()
    load_weights(net, save(FILES[name]))
    assert all((parameter == 3).all() for parameter in net.parameters())
    assert (net[1].running_var == 3).all()


def test_a_network_may_itself_have_a_part_named_module(save: Callable[[object], Path]) -> None:
    net = nn.DataParallel(critic())
    load_weights(net, save({"model": prefixed(THREE, "module.")}))
    assert (net.module[0].weight == 3).all()


def test_several_that_fit_are_listed_and_one_is_chosen_by_its_key(save: Callable[[object], Path]) -> None:
    path = save({"model": THREE, "ema": prefixed(filled(critic(), 4), "module."), "epoch": 2})
    with pytest.raises(
        InputError, match=r"several state dicts fit: 'model', 'ema\.module'; choose one by --weights-key"
    ):
        load_weights(critic(), path)
    net = critic()
    load_weights(net, path, "ema.module")
    assert (net[0].weight == 4).all()
    load_weights(net, path, "model")
    assert (net[0].weight == 3).all()
    with pytest.raises(InputError, match=r"no state dict at 'emma'; did you mean 'ema'\? allowed: "):
        load_weights(net, path, "emma")


def test_a_dictionary_that_holds_itself_is_read_once(save: Callable[[object], Path]) -> None:
    content: dict[str, object] = {"model": THREE}
    content["self"] = content
    net = critic()
    load_weights(net, save(content))
    assert (net[0].weight == 3).all()


def test_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.safetensors"
    save_file(prefixed(THREE, "discriminator."), path)
    net = critic()
    load_weights(net, path)
    assert (net[2].weight == 3).all()
    path.write_bytes(b"\x08" + 20 * b"\0")
    with pytest.raises(InputError, match="is no safetensors file"):
        load_weights(net, path)
    with pytest.raises(FileNotFoundError):
        load_weights(net, tmp_path / "absent.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(InputError, match=r"needs the package safetensors: pip install 'lipschitz\[safetensors\]'"):
        load_weights(net, path)


def test_keys_of_older_versions_of_torch_are_accepted(save: Callable[[object], Path]) -> None:
    weight = torch.tensor([[3.0, 4.0]])
    normalized = parametrizations.weight_norm(nn.Linear(2, 1))
    load_weights(normalized, save({"weight_g": torch.tensor([[10.0]]), "weight_v": weight, "bias": torch.zeros(1)}))
    assert torch.allclose(normalized.weight, torch.tensor([[6.0, 8.0]]))
    hooked = spectral_norm_hook(nn.Linear(2, 1))
    vectors = {"weight_u": torch.ones(1), "weight_v": weight[0] / 5}
    load_weights(hooked, save({"weight_orig": weight, "bias": torch.zeros(1), **vectors}))
    assert torch.equal(hooked.weight_orig, weight)


def test_a_parametrized_network_is_loaded(save: Callable[[object], Path]) -> None:
    trained, net = (parametrizations.spectral_norm(nn.Linear(3, 2)) for _ in range(2))
    load_weights(net, save({"params_ema": trained.state_dict()}))
    assert parametrize.is_parametrized(net)
    assert torch.equal(net.eval()(torch.eye(3)), trained.eval()(torch.eye(3)))


def test_what_torch_says_of_a_misfit_is_one_line(save: Callable[[object], Path]) -> None:
    state = {
        "0.weight": torch.zeros(4, 3),
        "extra": torch.zeros(1),
        **{f"0.{number}": torch.zeros(1) for number in range(4)},
    }
    with pytest.raises(InputError) as refused:
        load_weights(critic(), save({"netD": state, "optimizer": OPTIMISER}))
    assert str(refused.value).endswith(
        "file.pt: 'netD': does not fit the network: it lacks '0.bias', '1.weight', '1.bias' and 4 more; "
        "the network lacks 'extra', '0.0', '0.1' and 2 more; '0.weight' is (4, 3), not (2, 3)"
    )


class Own(nn.Linear):
    def _load_from_state_dict(self, *arguments: object) -> None:
        raise KeyError("scale")


def test_what_a_module_of_its_own_raises_is_one_line(save: Callable[[object], Path]) -> None:
    with pytest.raises(InputError, match=r"does not fit the network: KeyError: 'scale'$"):
        load_weights(Own(1, 1), save({"weight": torch.zeros(1, 1), "bias": torch.zeros(1)}))


def test_a_file_that_torch_refuses_is_one_line(save: Callable[[object], Path], tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"holds 'argparse\.Namespace', which torch refuses \(weights_only=True\); allowed"
    ):
        load_weights(critic(), save({"args": argparse.Namespace(lr=1), "model": THREE}))
    with pytest.raises(InputError, match=r"holds 'torch\.nn\.modules\.linear\.Linear', which torch refuses"):
        load_weights(critic(), save(nn.Linear(1, 1)))
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.trace(nn.Linear(1, 1), torch.zeros(1, 1)), tmp_path / "jit.pt")
    with pytest.raises(InputError, match="is a TorchScript archive, which torch refuses"):
        load_weights(critic(), tmp_path / "jit.pt")
