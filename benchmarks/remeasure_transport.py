"""Add metrics to finished transport runs: measure their last and best critics again from the checkpoint.

    python benchmarks/remeasure_transport.py benchmarks/NAME.yaml results/NAME --data-root DIR

Each run is restored from its last checkpoint. Its cosine, squared gradient error and W1 must equal the recorded values
in every digit; otherwise the run is not changed, and the difference is printed. The new metrics are added to the
records of the last step and to the result. run.json gets the commit that measured them.
"""

import argparse
from pathlib import Path
from typing import Any

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.tasks.transport.potential import AS_PUBLISHED
from lipschitz.training.checkpoint import Unusable, read

KNOWN = ("cosine", "l2", "w1_dual", "w1_error")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="sweep file")
    parser.add_argument("folder", type=Path, help="its results folder, with the runs")
    parser.add_argument("--data-root", type=Path)
    options = parser.parse_args()
    set_up_torch()
    origin = provenance(["cpu"], 1, {})
    for run in load_sweep(options.file).runs:
        job = Job(run, options.folder, Site(("cpu",), options.data_root), "cpu", origin)
        if job.folder.status() == "finished":
            print(f"{run.id}: {remeasure(job)}", flush=True)


def remeasure(job: Job) -> str:
    """Add the new metrics to one finished run. Return "measured", or why the run is unchanged."""
    # Not as an attempt of a sweep, whose first result counts: this one replaces it.
    folder = RunFolder(job.folder.path)
    result = folder.result() or {}
    try:
        state = read(folder.checkpoint)
    except (OSError, Unusable) as error:
        return f"unchanged: no checkpoint: {error}"
    if not result.get("best") or state["step"] != result["step"]:
        return "unchanged: no checkpoint of the last step"
    if AS_PUBLISHED[0] in result["last"]:
        return "unchanged: it has the new metrics"
    task = job.build()
    task.load_state_dict(state["task"])
    last = task.evaluate(f"step {state['step']}")
    task.load_snapshot(state["best"]["snapshot"])
    best = task.evaluate("best")
    for recorded, values in ((result["last"], last), (result["best"]["values"], best)):
        if different := [name for name in KNOWN if recorded[name] != values[name]]:
            return f"unchanged: other values than recorded: {', '.join(different)}"
        recorded.update(_new(values))
    facts = task.facts()
    result["floor"].update(_new(facts["floor"]))
    result["protocols"].update(_new(facts["protocols"]))
    folder.append_records(
        {"step": state["step"], "seconds": round(state["seconds"], 4), "metric": name, "value": value}
        for name, value in _new(last).items()
    )
    folder.define({**folder.definition(), "provenance": [*folder.origins(), job.provenance]})
    folder.finish(result, folder.samples() or {})
    return "measured"


def _new(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in AS_PUBLISHED}


if __name__ == "__main__":
    main()
