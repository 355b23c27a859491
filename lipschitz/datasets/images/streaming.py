"""Stream images that do not fit the device: threads read the next batch while the model trains on this one."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from lipschitz.datasets.images.decode import LazyImages
from lipschitz.datasets.images.split import CHUNK, Split


class _Prefetch(NamedTuple):
    """A batch that is read before it is drawn."""

    n: int
    state: Tensor
    """State of the generator from which the batch was drawn: from another state another batch is drawn."""
    images: Future[Tensor]


class StreamedSplit:
    """Images that are read when they are drawn, with labels on the device. It draws what a `Split` would draw.

    The next batch is prefetched: its indices are drawn from a copy of the generator, and it is read in the background.
    It is used if the generator still has the state of the copy; otherwise, as after a checkpoint is restored, the batch
    is drawn and read again. So a batch depends on the data and the generator alone. The host reads the images, so a
    CUDA graph cannot capture a draw. Not thread-safe.
    """

    def __init__(self, source: Split | LazyImages, device: torch.device) -> None:
        self.source = source
        self.labels = None if source.labels is None else source.labels.to(device)
        self._device = device
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        # Several tasks can share the data set, each with its own generator.
        self._prefetched: WeakKeyDictionary[torch.Generator, _Prefetch] = WeakKeyDictionary()
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
        prefetched, state = self._prefetched.pop(rng, None), rng.get_state()
        index = self._indices(n, rng)
        if prefetched and prefetched.n == n and torch.equal(prefetched.state, state):
            images = prefetched.images.result()
        else:
            images = self._read(index)
        self._prefetched[rng] = self._prefetch(n, rng)
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

    def _prefetch(self, n: int, rng: torch.Generator) -> _Prefetch:
        copy = torch.Generator(rng.device)
        copy.set_state(state := rng.get_state())

        def read() -> Tensor:
            # On its own stream, so that it does not wait for the training step.
            with torch.cuda.stream(self._stream) if self._stream else nullcontext():
                return self._read(self._indices(n, copy))

        return _Prefetch(n, state, self._reader.submit(read))

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
