"""``lipschitz export``: write the trained weights of a run as safetensors files, with its run.json beside them."""

from pathlib import Path

from lipschitz import __version__
from lipschitz.errors import InputError, nearest
from lipschitz.files import read_bytes, write_bytes
from lipschitz.sweep.trained_run import WHICH, TrainedRun, load_run

FORMATS = ("safetensors",)


def export(run_folder: Path, to: str, out: Path | None) -> list[Path]:
    """Write ``<network>-<last or best>.safetensors`` for each network of a run, and ``run.json``; return the files.

    Keys are those of the network that `lipschitz.load_run` builds: of a reparametrised layer, such as one with spectral
    normalization, the raw weight and the method's buffers. The metadata name run, network, step and version.

    Args:
        run_folder: the folder of a run that is over.
        to: one of `FORMATS`.
        out: folder to write to, ``<run id>`` in the current one by default; files of the same names are replaced.

    Raises:
        InputError: the format is unknown, its package is not installed, or the run cannot be loaded.
        OSError: a file cannot be written.
    """
    if to not in FORMATS:
        raise InputError(f"--to {to}: unknown format; {nearest(to, FORMATS)}")
    try:
        from safetensors.torch import save
    except ImportError:
        raise InputError("--to safetensors needs the package: pip install 'lipschitz[safetensors]'") from None
    run = load_run(run_folder)
    folder = out or Path(run.id)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"run.json": read_bytes(run_folder / "run.json")}
    for which in _steps(run):
        networks = run.at(which)
        for name, net in networks.networks.items():
            facts = {"run": run.id, "network": name, "which": which, "step": str(networks.step)}
            # Copies: safetensors refuses tensors that share memory, as tied weights do.
            tensors = {key: value.detach().clone().contiguous() for key, value in net.state_dict().items()}
            contents[f"{name}-{which}.safetensors"] = save(tensors, {**facts, "lipschitz": __version__, "format": "pt"})
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return [folder / name for name in contents]


def _steps(run: TrainedRun) -> list[str]:
    """Return the steps whose networks the run has: a run that diverged early has no best one."""
    return [which for which in WHICH if run.has(which)]
