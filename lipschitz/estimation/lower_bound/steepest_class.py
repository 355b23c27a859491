"""Lower bound of a class-conditional network's Lipschitz constant by search: the worst of all classes."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.estimation.lower_bound.gradient_norms import jacobian_norms
from lipschitz.estimation.lower_bound.network_cost import network_cost
from lipschitz.estimation.lower_bound.search import SEARCH_OPERATIONS, LowerBound, lower_bound

RANKING_SHARE = 0.3
"""Most of `SEARCH_OPERATIONS` that ranking the classes takes."""
MOST_POINTS = 32
"""Most points at which every class is tried."""
SEARCHED_CLASSES = 3
"""The steepest classes, which are searched."""


class ClassBound(NamedTuple):
    """The steepest class that was found, and the lower bound for it."""

    label: Tensor
    """int64 ``(1,)``."""
    bound: LowerBound


def lower_bound_over_classes(
    net: nn.Module, points: Tensor, norms: Tensor, labels: Tensor, classes: int, rng: torch.Generator
) -> ClassBound:
    """Return a lower bound of the largest Lipschitz constant of x -> net(x, y) over all classes y.

    Every class is tried at the steepest points. Those classes with the largest Jacobians, there or at a point of their
    own, are then searched, each from a share of the points and of the operations of one search.

    Args:
        net: in eval mode, x ``(n, ...)`` and int64 labels ``(n,)`` -> ``(n, ...)``.
        points: ``(n, ...)``.
        norms: ``(n,)``, the norm of the Jacobian at each point for its own class.
        labels: int64 ``(n,)``, the class of each point.
        classes: their number.
        rng: on the CPU.
    """
    steepest = points[norms.argsort(descending=True, stable=True)]
    highest = torch.zeros(classes, dtype=norms.dtype, device=norms.device)
    highest = highest.scatter_reduce(0, labels, norms, "amax")
    cost = network_cost(Labelled(net, labels[:1]), points)
    tried = int(RANKING_SHARE * SEARCH_OPERATIONS / cost.operations / classes)
    tried = min(max(tried, 1), MOST_POINTS, len(points))
    every = Labelled(net, torch.arange(classes, device=labels.device))
    # Whole rounds over the classes, so that each sample of a batch gets its label.
    batch = max(cost.batch // classes, 1) * classes
    found = jacobian_norms(every, steepest[:tried].repeat_interleave(classes, dim=0), rng, batch=batch)
    highest = torch.maximum(highest, found.norms.view(tried, classes).amax(dim=0))
    searched = highest.argsort(descending=True, stable=True)[:SEARCHED_CLASSES]
    share = (1 - RANKING_SHARE) / len(searched)
    starts = steepest[: max(len(points) // len(searched), 1)]
    bounds = [
        ClassBound(label, lower_bound(Labelled(net, label), starts, rng, share=share)) for label in searched.view(-1, 1)
    ]
    return max(bounds, key=lambda found: found.bound.value)
