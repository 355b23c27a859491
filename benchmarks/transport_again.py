"""Measure the last and best critics of finished runs again, for metrics that their runs did not record yet.

    python benchmarks/transport_again.py benchmarks/NAME.yaml results/NAME --data-root DIR

Each run is restored from its last checkpoint. Its cosine, squared gradient error and W1 must come out as they were
recorded, digit for digit; else the run is left as it is, and named. The records of the last step and the result gain
what is new, and run.json the commit that measured it.
"""

import argparse
from pathlib import Path
from typing import Any

from lipschitz.files import write_json
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.process import set_up_torch
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.provenance import provenance
from lipschitz.tasks.transport.potential import AS_PUBLISHED
from lipschitz.training.checkpoint import FORMAT, load

KNOWN = ("cosine", "l2", "w1_dual", "w1_error")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="sweep file")
    parser.add_argument("folder", type=Path, help="its results, with the runs")
    parser.add_argument("--data-root", type=Path)
    options = parser.parse_args()
    set_up_torch()
    origin = provenance(["cpu"], 1, {})
    for run in load_sweep(options.file).runs:
        job = Job(run, options.folder, Site(("cpu",), options.data_root), "cpu", origin)
        if job.folder.status() == "finished":
            print(f"{measure_again(job)}: {run.id}", flush=True)


def measure_again(job: Job) -> str:
    """Add what is new to one finished run; return what was done, or why not."""
    folder = job.folder
    result, (state, _) = folder.result() or {}, load(folder.checkpoint, folder.previous_checkpoint)
    if not result.get("best") or state is None or state["step"] != result["step"]:
        return "left alone, no checkpoint of its last step"
    if AS_PUBLISHED[0] in result["last"]:
        return "left alone, nothing is new"
    if state.get("format") != FORMAT:
        return "left alone, its checkpoint is of another version"
    task = job.build()
    task.load_state_dict(state["task"])
    last = task.evaluate(f"step {state['step']}")
    task.load_snapshot(state["best"]["snapshot"])
    best = task.evaluate("best")
    for recorded, values in ((result["last"], last), (result["best"]["values"], best)):
        if different := [name for name in KNOWN if recorded[name] != values[name]]:
            return f"left alone, {', '.join(different)} came out different"
        recorded.update(_new(values))
    facts = task.facts()
    result["floor"].update(_new(facts["floor"]))
    result["protocols"].update(_new(facts["protocols"]))
    folder.append_records(
        {"step": state["step"], "seconds": round(state["seconds"], 4), "metric": name, "value": value}
        for name, value in _new(last).items()
    )
    folder.define({**folder.definition(), "provenance": [*folder.origins(), job.provenance]})
    write_json(folder.path / "result.json", result)
    return "measured again"


def _new(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in AS_PUBLISHED}


if __name__ == "__main__":
    main()
