"""From a sweep file to results on disk: definition, timing pass, engine, store.

- definition/: sweep file to runs. engine/: dispatches runs to workers. timing/: times configurations first.
- joining/: many processes on one sweep. attempt: the folder of one of them in that of a run.
- store, run_folder, run_paths, folder_lock: the folders of results and of one run.
- reported_runs: what a report needs of the runs.
- growth: what a sweep file keeps, adds or leaves out of its folder.
- heartbeat: how far a run has come; progress_text: in words.
- trained_run: the networks of a run that is over, built again with their weights.
- input_checks: data, weights and precisions, checked before the first run.
- inputs: hashes of what runs depend on, compared with those of the folder's runs.
- process: starts and sets up the process of a worker.
- provenance: commit, versions and device of a measurement. display: progress on the terminal.

The package can be called: ``lipschitz.sweep(file)`` runs a sweep file; see `lipschitz.api.sweep.sweep`.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """This package, which is also the function ``sweep`` of the Python API: both have the name ``lipschitz.sweep``."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Run a sweep file; see `lipschitz.api.sweep.sweep`."""
        # Imported by name: the package is below the API.
        return import_module("lipschitz.api.sweep").sweep(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
