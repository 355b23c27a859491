"""Time our training step against other implementations of the same training. See ``--help``.

Both sides train the same networks from the same weights on the same batches and noise, in turn, in one process of one
thread. Before a peer is timed, its first updates are compared with ours; if they differ, the peer is not timed. Results
are written after each row, so an interrupted measurement keeps its rows. With ``--peers`` or ``--widths`` the other
rows are kept if commit, device and workload are the same.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from operation_counts import count_operations
from paired_timing import Call, interval, medians, show_progress, timed_pairs
from peer_implementations import PEERS, Peer, Workload
from result_files import earlier_result, write_result
from same_step import Steps, first_step_distance
from workload import noise_images

from lipschitz.sweep.process import set_up_torch
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
    result["rows"] = _rows_to_keep(options.out / "peers.json", result, options)
    result["peers"] |= {row["peer"]: PEERS[row["peer"]].what for row in result["rows"]}
    for width in options.widths:
        for name in options.peers:
            for row in measure(PEERS[name], {**workload, "width": width}, options.pairs):
                result["rows"].append({"peer": name, "width": width, **row})
                rows = [HEADINGS, *map(_row, result["rows"])]
                write_result(options.out, "peers", result, _title(result), rows, "peers.md")
    print(options.out / "peers.md")


def measure(peer: Peer, workload: Workload, count: int) -> Iterator[dict[str, Any]]:
    """Yield a row for the discriminator step and a row for the iteration, or a single row with why it is refused."""
    absence = None if peer.library is None else peer.library.absence()
    if absence is not None:
        yield {"refused": absence}
        return
    ours, theirs = partial(peer.ours.build, workload), partial(peer.build, workload)
    found = first_step_distance(ours, theirs)
    if not found.is_rounding():
        yield {"refused": f"its first updates are not ours, they differ by: {found}"}
        return
    for step, call in {"discriminator": _discriminator_step, "iteration": _iteration}.items():
        # On other trainings, so that the two timed trainings draw the same batches.
        operations = {
            side: count_operations(call(build()))._asdict() for side, build in (("ours", ours), ("peer", theirs))
        }
        pairs = timed_pairs(call(theirs()), call(ours()), count, warm_up=WARM_UP, device=workload["device"])
        timed = medians(show_progress(pairs, f"{peer.what}, {step}", count))
        yield {"step": step, **timed, "operations": operations, "differs_by": found._asdict()}


def _rows_to_keep(path: Path, result: dict[str, Any], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of an earlier call under the same conditions that are not measured again."""
    earlier = earlier_result(path, result)
    if earlier is None:
        return []
    result["provenance"]["versions"] = earlier["provenance"]["versions"] | result["provenance"]["versions"]
    again = {(name, width) for name in options.peers for width in options.widths}
    return [row for row in earlier["rows"] if (row["peer"], row["width"]) not in again]


def _discriminator_step(training: Steps) -> Call:
    return training.discriminator_step


def _iteration(training: Steps) -> Call:
    """Return a discriminator update followed by a generator update. Our own ``step`` takes the progress of the run."""
    return partial(training.step, 0.0) if isinstance(training, GANTraining) else training.step


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
        "float32 without TF32, one thread. A discriminator step draws a batch, generates as many images and updates "
        "the discriminator once. An iteration is a discriminator step and an update of the generator. Each row is a "
        "median over interleaved pairs of steps, one ours and one the peer's, from the same weights on the same "
        "batches and noise, with the distribution-free 95 % interval of the median. Below 1 our step is faster. "
        "Compare milliseconds within a row only: rows were measured one after the other. GFLOP count convolutions and "
        "matrix products. ATen calls are the kernels that a GPU launches without CUDA graphs. A peer is timed only if "
        "its first updates equal ours up to rounding. The last column is the relative distance of the gradients. "
        "Peers:\n\n"
        f"{peers}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time our training step against other implementations of it.")
    names = list(PEERS)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64], help="channels of the first block")
    parser.add_argument("--size", type=int, default=32, help="pixels along a side, a multiple of 8")
    parser.add_argument("--batch-size", type=int, default=64, help="real images in a step, and as many generated ones")
    parser.add_argument("--pairs", type=int, default=200, help="pairs of steps for each row")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--peers", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, default=Path("results/speed"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
