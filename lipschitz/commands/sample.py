"""``lipschitz sample``: generate samples by a run's trained generator, as PNG files in a folder or as an .npz file."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lipschitz.errors import InputError
from lipschitz.files import write_bytes
from lipschitz.sweep.run_folder import npz_bytes
from lipschitz.sweep.trained_run import TrainedRun, load_run
from lipschitz.tasks.generation.quality import to_bytes


def sample(run_folder: Path, n: int, out: Path, *, which: str, average: bool, seed: int, device: str) -> None:
    """Write ``n`` samples of a run's generator to ``out``.

    Images are 8-bit. A folder gets PNG files, of a conditional run one folder a class, as the data set ``folder`` reads
    them. An .npz file gets ``images`` uint8 ``(n, h, w, c)`` and, of a conditional run, ``labels`` int64 ``(n,)``, as
    the data set ``npz`` reads them; of points it gets ``points`` float32 ``(n, d)``.

    Args:
        run_folder: the folder of a run that is over.
        n: number of samples.
        out: a folder that is empty or not there, or a file that ends in ``.npz``.
        which: the step, ``last`` or ``best``.
        average: whether to use the moving average of the generator.
        seed: of the latents; the same for every run.
        device: of the generator.

    Raises:
        InputError: the run cannot be loaded or has no such generator, or it cannot be written so.
        OSError: a file cannot be written.
    """
    is_file = out.suffix == ".npz"
    is_taken = out.is_dir() and (is_file or any(out.iterdir()))
    if is_taken or (out.is_file() and not is_file):
        raise InputError(f"--out {out}: it is there already; allowed: an empty or new folder, or a file *.npz")
    run = load_run(run_folder, device)
    if not is_file and len(run.shape) != 3:
        raise InputError(f"--out {out}: {run.id} generates points, which are no pictures; allowed: a file *.npz")
    batches = run.batches(n, which=which, average=average, seed=seed)
    if len(run.shape) != 3:
        _write(out, points=torch.cat(list(batches)).cpu().numpy())
        return
    images = torch.cat([to_bytes(batch).permute(0, 2, 3, 1).cpu() for batch in batches]).numpy()
    labels = run.labels(n)
    if is_file:
        _write(out, images=images, **({} if labels is None else {"labels": labels.numpy()}))
    else:
        _write_pictures(out, images, None if labels is None else labels.tolist(), run)


def _write(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, npz_bytes(arrays))


def _write_pictures(folder: Path, images: np.ndarray, labels: list[int] | None, run: TrainedRun) -> None:
    """Write ``images`` as PNG files, named by their numbers, so that a listing by name keeps their order."""
    digits = len(str(len(images) - 1))
    subfolders = [folder] * len(images)
    if labels is not None:
        assert run.classes is not None
        places = len(str(run.classes - 1))
        subfolders = [folder / f"{label:0{places}d}" for label in labels]
    for each in {folder, *subfolders}:
        each.mkdir(parents=True, exist_ok=True)
    for number, (pixels, where) in enumerate(zip(images, subfolders, strict=True)):
        content = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(content, "png")
        write_bytes(where / f"{number:0{digits}d}.png", content.getbuffer())
