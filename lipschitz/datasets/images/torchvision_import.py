"""Import torchvision where its compiled part does not match the build of torch.

PyPI's torchvision wheel wants CUDA libraries. Beside a CPU-only torch its compiled part fails to load, and Python code
that describes its operators then fails: ``operator torchvision::nms does not exist``. Data sets need neither.
"""

import importlib
import sys
from types import ModuleType

import torch

_declared: list[torch.library.Library] = []
"""Keeps the declaration alive: torch forgets operators whose library is collected."""


def import_torchvision() -> ModuleType:
    """Import torchvision, declaring the operators it misses where, and only where, that is what the import fails of.

    Declared, not implemented: data sets, transforms and models work; ``ops.nms`` does not.

    Raises:
        ImportError, RuntimeError: torchvision is not installed, or does not import for another reason.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
    _declared.append(library)
    return importlib.import_module("torchvision")
