"""Spectral normalization as torch, torch_mimicry and torchgan implement it, applied to a discriminator in place.

All start from the leading singular vectors of the weights, as the package's own method does. A step of power iteration
does not change these vectors, so the first updates are the same whenever a library makes that step.
"""

from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.power_iteration import leading_vectors
from lipschitz.estimation.layers import WeightedLayer, as_matrix, raw_weight, weighted_layers


class TorchSpectralNorm(Constraint):
    """`torch.nn.utils.parametrizations.spectral_norm` on every layer, one step of power iteration at each access."""

    source: ClassVar[str] = "Miyato et al. 2018, arXiv:1802.05957, as torch ships it"
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "heuristic"

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Register torch's parametrization on each layer."""
        for _, layer in list(weighted_layers(net)):
            parametrizations.spectral_norm(layer)
        return net


class Library(NamedTuple):
    """One file of an installed package. The package itself is not imported: it may need an old torch."""

    package: str
    file: str

    def absence(self) -> str | None:
        """Return why the file is not available, or None."""
        if find_spec(self.package) is None:
            return "not installed"
        try:
            self.load()
        except Exception as error:  # An unmaintained package may raise any exception.
            return f"installed, but {self.file} cannot be loaded: {error}"
        return None

    def load(self) -> ModuleType:
        """Run the file."""
        package = find_spec(self.package)
        assert package is not None
        assert package.submodule_search_locations is not None
        spec = spec_from_file_location(f"{self.package}_layers", Path(package.submodule_search_locations[0], self.file))
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


MIMICRY = Library("torch_mimicry", "modules/spectral_norm.py")
TORCHGAN = Library("torchgan", "layers/spectralnorm.py")


def apply_torch_parametrization(net: nn.Module) -> None:
    """Normalise by `torch.nn.utils.parametrizations.spectral_norm`."""
    for _, layer in list(weighted_layers(net)):
        parametrizations.spectral_norm(layer)
    start_at_leading_vectors(net)


def start_at_leading_vectors(net: nn.Module) -> None:
    """Set the vectors of torch's parametrizations in ``net`` to the leading singular vectors."""
    for layer, u, v in _layers(net):
        (norm,) = layer.parametrizations["weight"]
        norm._u.copy_(u)
        norm._v.copy_(v)


def apply_torch_hook(net: nn.Module) -> None:
    """Normalise by the older `torch.nn.utils.spectral_norm`."""
    for layer, u, v in _layers(net):
        spectral_norm(layer)
        layer.weight_u.copy_(u)
        layer.weight_v.copy_(v)


def apply_torch_mimicry(net: nn.Module) -> None:
    """Replace each layer by torch_mimicry's SNConv2d or SNLinear (Lee & Town 2020, arXiv:2005.02494)."""
    library = MIMICRY.load()
    for layer, u, _ in _layers(net):
        twin: nn.Module
        if isinstance(layer, nn.Linear):
            twin = library.SNLinear(layer.in_features, layer.out_features)
        else:
            shape = (layer.in_channels, layer.out_channels, layer.kernel_size)
            twin = library.SNConv2d(*shape, stride=layer.stride, padding=layer.padding)
        twin.to(u.device).sn_u.copy_(u)
        twin.weight, twin.bias = layer.weight, layer.bias
        _replace(net, layer, twin)


def apply_torchgan(net: nn.Module) -> None:
    """Wrap each layer in torchgan's SpectralNorm2d (Pal & Das 2021, arXiv:1909.03410)."""
    library = TORCHGAN.load()
    for layer, u, v in _layers(net):
        twin = library.SpectralNorm2d(layer)
        twin.u.copy_(u)
        twin.v.copy_(v)
        _replace(net, layer, twin)


def _layers(net: nn.Module) -> Iterator[tuple[WeightedLayer, Tensor, Tensor]]:
    """Yield each layer with the leading left and right singular vectors of its weight."""
    for _, layer in list(weighted_layers(net)):
        yield layer, *leading_vectors(as_matrix(raw_weight(layer)))


def _replace(net: nn.Module, layer: nn.Module, twin: nn.Module) -> None:
    (name,) = (name for name, module in net.named_modules() if module is layer)
    net.set_submodule(name, twin)
