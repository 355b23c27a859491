"""Insert normalization layers into the empty ``norm`` slots of a network's blocks."""

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
    """Put a normalization layer into every empty norm slot that the forward pass uses, in place.

    An empty slot is an nn.Identity that is called ``norm`` in its block. The new layers take dtype and device of the
    network and the training mode of their block.

    Args:
        method: name of the method, for error messages.
        net: the network.
        shape: shape of one sample, without the batch.
        build: shape of a slot's input without the batch -> normalization layer.

    Raises:
        Refusal: the forward pass uses no empty slot.
    """
    shapes = slot_shapes(net, shape)
    if not shapes:
        raise Refusal(
            f"{method} fills the 'norm' slots of blocks, but this network has no empty slot; "
            "allowed: a model whose blocks have an Identity called 'norm', and one method that fills it"
        )
    like = next(net.parameters())
    for name, input_shape in shapes.items():
        parent, _, attribute = name.rpartition(".")
        block = net.get_submodule(parent)
        norm = build(input_shape).to(like.device, like.dtype).train(block.training)
        setattr(block, attribute, norm)


def slot_shapes(net: nn.Module, shape: tuple[int, ...]) -> dict[str, torch.Size]:
    """Return the input shape of each empty norm slot by name, for one sample of ``shape``; all without the batch.

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
    """Make the multiplier γ of ``norm`` a buffer of ones, which is not trained; the shift β stays a parameter.

    A frozen parameter would not do: `nn.Module.requires_grad_` would unfreeze it. Removing γ would not do either: torch
    cannot differentiate a normalization layer with a shift but no multiplier twice.
    """
    ones = torch.ones_like(norm.weight, requires_grad=False)
    del norm.weight
    norm.register_buffer("weight", ones)
