"""Other implementations of the same training against ours, step by step: see ``--help``.

Both sides train the same networks from the same weights on the same batches and noise, in one process of one thread,
and step in turn. Before a peer is timed, its first updates are shown to be ours; one whose updates are others has no
numbers. Results are written after each row, so that a measurement that is cut off keeps what it has, and one that is
asked for some peers and widths keeps the others' rows of the same commit, device and workload.
"""

import argparse
import json
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from discriminator import noise_images
from implementations import PEERS, Peer, Workload
from operations import counted
from paired import Call, compared, interval, pairs, same_conditions, watched, write
from same_step import Steps, distance

from lipschitz.sweep.engine.process import set_up_torch
from lipschitz.sweep.provenance import provenance
from lipschitz.tasks.generation.gan_training import GANTraining

WARM_UP = 5
HEADINGS = (
    "peer",
    "width",
    "step",
    "ratio, ours to peer",
    "95 % interval",
    "ms, ours",
    "ms, peer",
    "pairs",
    "GFLOP, ours",
    "GFLOP, peer",
    "ATen calls, ours",
    "ATen calls, peer",
    "gradients differ by",
)


def main() -> None:
    options = _arguments()
    set_up_torch()
    workload = {"size": options.size, "batch_size": options.batch_size, "device": options.device}
    origin = provenance([str(options.device)], 1, {"noise images": noise_images(options.size).hash})
    libraries = [one for name in options.peers if (one := PEERS[name].library) is not None]
    origin["versions"] |= {one.package: version(one.package) for one in libraries if one.absence() is None}
    result: dict[str, Any] = {
        "workload": {**workload, "device": str(options.device)},
        "peers": {name: PEERS[name].what for name in options.peers},
        "provenance": origin,
        "rows": [],
    }
    result["rows"] = _kept(options.out / "peers.json", result, options)
    result["peers"] |= {row["peer"]: PEERS[row["peer"]].what for row in result["rows"]}
    for width in options.widths:
        for name in options.peers:
            for row in measured(PEERS[name], {**workload, "width": width}, options.pairs):
                result["rows"].append({"peer": name, "width": width, **row})
                write(options.out, "peers", result, _title(result), [HEADINGS, *map(_row, result["rows"])], "peers.md")
    print(options.out / "peers.md")


def measured(peer: Peer, workload: Workload, count: int) -> Iterator[dict[str, Any]]:
    """Yield what is found of a discriminator step and of an iteration, or once why there is nothing."""
    absence = None if peer.library is None else peer.library.absence()
    if absence is not None:
        yield {"refused": absence}
        return
    ours, theirs = partial(peer.ours.build, workload), partial(peer.build, workload)
    found = distance(ours, theirs)
    if not found.is_rounding():
        yield {"refused": f"its first updates are not ours, they differ by: {found}"}
        return
    for step, call in {"discriminator": _discriminator_step, "iteration": _iteration}.items():
        # On trainings of their own: those that are timed draw the same batches.
        operations = {side: counted(call(build()))._asdict() for side, build in (("ours", ours), ("peer", theirs))}
        made = pairs(call(theirs()), call(ours()), count, warm_up=WARM_UP, device=workload["device"])
        timed = compared(watched(made, f"{peer.what}, {step}", count))
        yield {"step": step, **timed, "operations": operations, "differs_by": found._asdict()}


def _kept(path: Path, result: dict[str, Any], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of an earlier call under the same conditions, but for those that are measured again."""
    try:
        earlier = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    if not same_conditions(earlier, result):
        return []
    result["provenance"]["versions"] = earlier["provenance"]["versions"] | result["provenance"]["versions"]
    again = {(name, width) for name in options.peers for width in options.widths}
    return [row for row in earlier["rows"] if (row["peer"], row["width"]) not in again]


def _discriminator_step(one: Steps) -> Call:
    return one.discriminator_step


def _iteration(one: Steps) -> Call:
    """Return a discriminator update followed by a generator update: of ours, what the trainer calls."""
    return partial(one.step, 0.0) if isinstance(one, GANTraining) else one.step


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    head = (row["peer"], str(row["width"]))
    if "refused" in row:
        return (*head, row["refused"], *["-"] * (len(HEADINGS) - 3))
    ours, peer = row["operations"]["ours"], row["operations"]["peer"]
    return (
        *head,
        row["step"],
        f"{row['ratio']['median']:.3f}",
        interval(row["ratio"], 3),
        f"{row['ms']['median']:.1f}",
        f"{row['ms_baseline']['median']:.1f}",
        str(row["ratio"]["n"]),
        f"{ours['gflop']:.2f}",
        f"{peer['gflop']:.2f}",
        str(ours["aten_calls"]),
        str(peer["aten_calls"]),
        f"{row['differs_by']['gradient']:.0e}",
    )


def _title(result: dict[str, Any]) -> str:
    workload = result["workload"]
    peers = "\n".join(f"- {name}: {what}." for name, what in result["peers"].items())
    return (
        "# Our training step and others\n\n"
        f"SN-GAN's standard CNN, images 3x{workload['size']}x{workload['size']}, batch {workload['batch_size']}, "
        "float32 in full, one thread. A discriminator step draws a batch, generates as many images and updates the "
        "discriminator once; an iteration goes on with an update of the generator. Each row is a median over "
        "interleaved pairs of steps, one ours and one the peer's, from the same weights on the same batches and noise, "
        "with the distribution-free 95 % interval of the median; below 1 ours is faster. Compare milliseconds within "
        "a row, since rows were measured one after the other. GFLOP are those of convolutions and products with a "
        "matrix; ATen calls are what a GPU run eagerly has to launch. A peer is timed only if its first updates are "
        "ours up to rounding: the last column is the relative distance of the gradients. Peers:\n\n"
        f"{peers}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time our training step against other implementations of it.")
    names = list(PEERS)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64], help="channels of the first block")
    parser.add_argument("--size", type=int, default=32, help="pixels along a side, a multiple of 8")
    parser.add_argument("--batch-size", type=int, default=64, help="real images a step, and as many generated ones")
    parser.add_argument("--pairs", type=int, default=200, help="pairs of steps a row")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--peers", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, default=Path("results/speed"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
