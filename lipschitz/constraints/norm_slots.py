"""The empty ``norm`` slots of a network's blocks: the shapes that they see, and filling them."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lipschitz.constraints.base import Refusal
from lipschitz.estimation.layers import probe_input_shapes


def fill_norm_slots(
    method: str, net: nn.Module, shape: tuple[int, ...], build: Callable[[torch.Size], nn.Module]
) -> None:
    """Put ``build(shape of what it sees)`` into every empty norm slot that a sample of ``shape`` passes through.

    An empty slot is an Identity that its block calls ``norm``. The new modules take the dtype and the device of the
    network and the mode of the slot.

    Raises:
        Refusal: there is no empty slot, or the sample passes through none.
    """
    shapes = slot_shapes(net, shape)
    if not shapes:
        raise Refusal(
            f"{method} fills the 'norm' slots of blocks, and this network has no empty one; "
            "allowed: a model whose blocks have an Identity called 'norm', with one method that fills it"
        )
    like = next(net.parameters())
    for name, seen in shapes.items():
        parent, _, attribute = name.rpartition(".")
        block = net.get_submodule(parent)
        norm = build(seen).to(like.device, like.dtype).train(block.training)
        setattr(block, attribute, norm)


def slot_shapes(net: nn.Module, shape: tuple[int, ...]) -> dict[str, torch.Size]:
    """Return, for each empty norm slot by name, the shape of what one sample of ``shape`` makes it see, without batch.

    Found by `probe_input_shapes`, which does not change the network. A slot that the forward pass does not use is left
    out.
    """
    shapes: dict[str, torch.Size] = {}
    slots = [
        (module, partial(shapes.__setitem__, name))
        for name, module in net.named_modules()
        if isinstance(module, nn.Identity) and name.rpartition(".")[2] == "norm"
    ]
    probe_input_shapes(net, shape, slots)
    return shapes


def freeze_gain(norm: nn.GroupNorm | _BatchNorm) -> None:
    """Make the multiplier γ of ``norm`` a buffer of ones, which no optimiser trains; the shift β stays a parameter.

    A parameter that needs no gradient would be trained all the same, once `nn.Module.requires_grad_` is called; and
    torch cannot differentiate a norm layer with a shift and without a multiplier twice.
    """
    ones = torch.ones_like(norm.weight, requires_grad=False)
    del norm.weight
    norm.register_buffer("weight", ones)
