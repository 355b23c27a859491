"""Upper bounds of the Lipschitz constants of differences of two logits, for each pair of classes."""

import math

import torch
from torch import Tensor, nn

from lipschitz.estimation.layers import has_torch_forward
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.operator_bounds import OperatorBounds


@torch.no_grad()
def logit_difference_bounds(
    net: nn.Module,
    shape: tuple[int, ...],
    joint: float,
    operators: OperatorBounds | None = None,
    *,
    flops: float = 0.0,
    pair_by_pair: bool = False,
) -> Tensor:
    """Return the bounds L_ij of the Lipschitz constants of z_i - z_j: float64 ``(classes, classes)``, symmetric.

    Of √2 Lip(z) and, where the network is an nn.Sequential that ends in a linear layer with rows w_i, of
    Lip(body) ‖w_i - w_j‖, which is the bound of the network whose last layer is replaced by that difference (Tsuzuku
    et al. 2018, arXiv:1802.04034, Sec. 4.2). The smaller is taken, for each pair.

    Args:
        net: ``(n, *shape)`` -> ``(n, classes)``, in float64 and eval mode; see
            `lipschitz.estimation.float64_copy.float64_copy`.
        shape: of one sample.
        joint: an upper bound of the Lipschitz constant of all logits together.
        operators: bounds of layers that are already known.
        flops: operations for each run of steps that is bounded as one; see `upper_bound`.
        pair_by_pair: bound the network of each pair anew, which with ``flops`` is tighter, classes (classes - 1) / 2
            times.
    """
    operators = OperatorBounds() if operators is None else operators
    like = next(net.parameters(), torch.empty(0, dtype=torch.float64))
    classes = net(torch.zeros((1, *shape), dtype=like.dtype, device=like.device)).shape[1]
    bounds = torch.full((classes, classes), math.sqrt(2) * joint, dtype=torch.float64)
    split = _body_and_last_layer(net)
    if split is not None:
        body, last = split
        weight = last.weight.double().cpu()
        norms = torch.linalg.vector_norm(weight[:, None] - weight, dim=2)
        norms = norms * (1 + weight.shape[1] * torch.finfo(torch.float64).eps)
        of_body = upper_bound(body, shape, operators, flops=flops).constant
        # Equal rows are a constant difference, whatever the body is.
        bounds = torch.minimum(bounds, torch.where(norms > 0, norms * of_body, 0.0))
        if pair_by_pair:
            for i, j in torch.combinations(torch.arange(classes)).tolist():
                difference = nn.Sequential(body, _difference(last, i, j))
                found = min(float(bounds[i, j]), upper_bound(difference, shape, operators, flops=flops).constant)
                bounds[i, j] = bounds[j, i] = found
    return bounds.fill_diagonal_(0.0)


def _difference(layer: nn.Linear, i: int, j: int) -> nn.Linear:
    """Return the linear layer of one output, row i less row j."""
    difference = nn.Linear(layer.in_features, 1, bias=False).to(layer.weight)
    difference.weight.copy_((layer.weight[i] - layer.weight[j])[None])
    return difference.requires_grad_(False)


def _body_and_last_layer(net: nn.Module) -> tuple[nn.Module, nn.Linear] | None:
    """Return all but the last layer of nested nn.Sequentials, and that; None if that is not a plain linear layer.

    The body shares its weights with ``net``.
    """
    if _has_hooks(net):
        return None
    if isinstance(net, nn.Linear) and has_torch_forward(net):
        return nn.Identity(), net
    if type(net) is not nn.Sequential or not len(net):
        return None
    split = _body_and_last_layer(net[-1])
    return None if split is None else (nn.Sequential(*list(net)[:-1], split[0]), split[1])


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))
