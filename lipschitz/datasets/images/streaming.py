"""Stream images that do not fit the device: threads read the next batch while the model trains on this one."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.datasets.images.decode import LazyImages
from lipschitz.datasets.images.split import CHUNK, Split

FOLLOWED = 32
"""Most generators whose next batch is prefetched, those of the latest draws: as many as a worker has runs at once."""


class _Draw(NamedTuple):
    """The last draw from a generator."""

    n: int
    state: Tensor
    """State of the generator after the draw: only from this state the next draw is the prefetched one."""
    following: Future[Tensor] | None
    """The next ``n`` images from that state, where they are prefetched."""


class StreamedSplit:
    """Images that are read when they are drawn, with labels on the device. It draws what a `Split` would draw.

    Once a generator has drawn two batches in a row, the next one is prefetched: its indices are drawn from a copy of
    the generator, and it is read in the background. It is used if the generator still has the state of the copy;
    otherwise, as after a checkpoint is restored, the batch is drawn and read again. So a batch depends on the data and
    the generator alone. The host reads the images, so a CUDA graph cannot capture a draw. Not thread-safe.
    """

    def __init__(self, source: Split | LazyImages, device: torch.device) -> None:
        self.source = source
        self.labels = None if source.labels is None else source.labels.to(device)
        self._device = device
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        # Several tasks can share the data set, each with its own generator. By id, since generators have no weak
        # references before torch 2.12; one that inherits the id of another has another state.
        self._last: dict[int, _Draw] = {}
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @property
    def size(self) -> int:
        """Number of images."""
        return self.source.size

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, ``(c, h, w)``."""
        return self.source.shape

    def to(self, device: torch.device) -> Split:
        """Read all images, and return them and their labels on ``device``."""
        images = torch.empty(self.size, *self.shape, dtype=torch.uint8, device=device)
        start = 0
        for chunk in self.source.chunks(CHUNK):
            images[start : start + len(chunk)] = chunk
            start += len(chunk)
        return Split(images, None if self.labels is None else self.labels.to(device))

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw uint8 ``(n, c, h, w)``, with replacement, and their int64 indices ``(n,)``.

        Raises:
            InputError: an image cannot be read.
        """
        last, state = self._last.pop(id(rng), None), rng.get_state()
        index = self._indices(n, rng)
        goes_on = last is not None and last.n == n and torch.equal(last.state, state)
        images = last.following.result() if goes_on and last and last.following else self._read(index)
        self._last[id(rng)] = _Draw(n, rng.get_state(), self._prefetch(n, rng) if goes_on else None)
        if len(self._last) > FOLLOWED:
            del self._last[next(iter(self._last))]
        return images.to(self._device, non_blocking=True), index

    def take(self, index: Tensor) -> Tensor:
        """Return the images at ``index``, int64 ``(n,)``, on the device."""
        return self._read(index).to(self._device)

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Yield all images in order, ``size`` at a time, on the device; the next chunk is read in the background."""
        following = self._reader.submit(next, chunks := self.source.chunks(size), None)
        while (chunk := following.result()) is not None:
            following = self._reader.submit(next, chunks, None)
            yield chunk.to(self._device)

    def _prefetch(self, n: int, rng: torch.Generator) -> Future[Tensor]:
        copy = torch.Generator(rng.device)
        copy.set_state(rng.get_state())

        def read() -> Tensor:
            # On its own stream, so that it does not wait for the training step.
            with torch.cuda.stream(self._stream) if self._stream else nullcontext():
                return self._read(self._indices(n, copy))

        return self._reader.submit(read)

    def _indices(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randint(self.size, (n,), generator=rng, device=rng.device)

    def _read(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` on the CPU, in pinned memory for CUDA, so that the copy is asynchronous."""
        pinned = self._device.type == "cuda"
        # Pinning memory initialises CUDA on the current device.
        with torch.cuda.device(self._device) if pinned else nullcontext():
            if isinstance(self.source, LazyImages):
                return self.source.read(index.tolist(), pinned=pinned)
            images = self.source.take(index.cpu())
            return images.pin_memory() if pinned else images
