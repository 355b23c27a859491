"""Write results folders of sweeps over settings, with and without a selection, whose final values are given."""

import json
from collections.abc import Mapping
from pathlib import Path

from synthetic import Plan, dump, write_sweep

NONE, CLIPPED = "none", "weight_clipping"
FID = "frechet_classifier"
PLAN = Plan(("digits",), (NONE, CLIPPED), settings=("E", "A", "C"), seeds=(100, 101), evaluations=1, pictures=False)
WORTH = {
    NONE: {"E": (20.0, 24.0), "A": (9.0, 11.0), "C": (30.0, 50.0)},
    CLIPPED: {"E": (70.0, 72.0), "A": (68.0, 70.0), "C": (66.0, 72.0)},
}


def edit(folder: Path, run: str, metric: str, value: float | str | None, status: str = "finished") -> None:
    path = folder / "runs" / run / "result.json"
    result = json.loads(path.read_text())
    result["status"] = status
    result["last"] = dict.fromkeys(result["last"]) if status == "diverged" else result["last"] | {metric: value}
    path.write_text(json.dumps(result))


def name(constraint: str, setting: str, seed: int, loss: str = "hinge") -> str:
    return f"digits-{loss}-{setting}-{constraint}-{seed}"


def tried(folder: Path, plan: Plan = PLAN, worth: Mapping[str, Mapping[str, tuple[float, ...]]] = WORTH) -> Path:
    """Write runs with every setting and the given final values."""
    write_sweep(folder, plan)
    for constraint, of_settings in worth.items():
        for setting, values in of_settings.items():
            for seed, value in zip(plan.seeds, values, strict=False):
                edit(folder, name(constraint, setting, seed), FID, value)
    return folder


def tuned(folder: Path) -> Path:
    """Write tuning runs and the runs with the selected settings: C of clipping, A without a constraint."""
    tried(folder)
    judged = json.loads((folder / "sweep.json").read_text())["runs"]
    runs = []
    for constraint, setting in ((NONE, "A"), (CLIPPED, "C")):
        write_sweep(folder, Plan(("digits",), (constraint,), settings=(setting,), evaluations=1, pictures=False))
        runs += json.loads((folder / "sweep.json").read_text())["runs"]
    chosen = [
        {
            "group": {"dataset": "digits", "model": "dcgan(width=16)", "constraint": constraint, "loss": "hinge"},
            "setting": setting,
            "metric": FID,
            "value": 10.0,
            "seeds": [100, 101],
            "runs": [run for run in judged if constraint in run],
        }
        for constraint, setting in ((NONE, "A"), (CLIPPED, "C"))
    ]
    dump(folder / "sweep.json", {"name": "tuned", "task": "generation", "runs": judged + runs, "chosen": chosen})
    return folder
