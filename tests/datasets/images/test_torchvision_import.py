"""torchvision is imported even without its compiled operators. Each test has a process, as torch keeps declarations."""

import subprocess
import sys

import pytest

from lipschitz.datasets.images.torchvision_import import import_torchvision

BROKEN = """
from torchvision import helper
import torch
torch.library.register_fake("torchvision::nms")(lambda dets, scores, iou_threshold: dets)
torch.library.register_fake("torchvision::qnms")(lambda dets, scores, iou_threshold: dets)
"""
HEALTHY = """
from torchvision import helper
import torch
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
torch.library.register_fake("torchvision::nms")(lambda dets, scores, iou_threshold: dets)
"""
OTHERWISE_BROKEN = "raise RuntimeError('operator torchvision::roi_align does not exist')"


@pytest.fixture
def imported(tmp_path):
    """Import a torchvision with the given source in a new process; return the process."""

    def run(source):
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision" / "__init__.py").write_text(source)
        (tmp_path / "torchvision" / "helper.py").write_text("print('helper imported')")
        code = (
            f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
            "from lipschitz.datasets.images import torchvision_import\n"
            "module = torchvision_import.import_torchvision()\n"
            "assert sys.modules['torchvision'] is module and module.__file__.startswith(sys.path[0])\n"
            "print('declared', len(torchvision_import._declared))\n"
        )
        return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)

    return run


def test_a_missing_operator_is_declared_and_torchvision_imported_again(imported):
    process = imported(BROKEN)
    assert process.returncode == 0, process.stderr
    assert process.stdout.split("\n")[:3] == ["helper imported", "helper imported", "declared 1"]


def test_nothing_is_declared_if_the_compiled_part_loads(imported):
    process = imported(HEALTHY)
    assert process.returncode == 0, process.stderr
    assert process.stdout.split("\n")[:2] == ["helper imported", "declared 0"]


def test_another_import_error_is_raised_unchanged(imported):
    process = imported(OTHERWISE_BROKEN)
    assert process.returncode == 1
    assert "torchvision::roi_align does not exist" in process.stderr
    assert "torchvision::nms" not in process.stderr


def test_the_installed_torchvision_has_its_data_sets():
    torchvision = import_torchvision()
    assert ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873") in torchvision.datasets.MNIST.resources
    assert import_torchvision() is torchvision
