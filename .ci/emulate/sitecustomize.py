"""Compute what kernels of the simulated device would, in each Python process of a script: see `.ci/simulated`."""

import sys

# Not in a process of multiprocessing that only counts resources.
if not any("resource_tracker" in argument for argument in sys.orig_argv):
    import emulate  # of the simulated device
    import torch

    emulate.install()
    _name = torch.cuda.get_device_name
    # The device says that it is a GPU that exists; the provenance of results must not.
    torch.cuda.get_device_name = lambda device=None: f"simulated {_name(device)}"
