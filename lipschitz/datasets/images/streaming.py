"""Images that do not fit the device: each batch is read by threads while the one before it is trained on."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from lipschitz.datasets.images.decode import Pictures
from lipschitz.datasets.images.split import CHUNK, Split


class _Guess(NamedTuple):
    """A batch that is being read before it is asked for."""

    n: int
    state: Tensor
    """Of the generator before the draw that the batch is for: another state makes it another batch."""
    images: "Future[Tensor]"


class StreamedSplit:
    """Images read when they are drawn; labels on the device. It draws what a `Split` of the same images draws.

    The batch that follows is guessed: drawn from a copy of the generator, and read in the background. It is used if the
    generator is then where the copy began, and read anew otherwise, as after a checkpoint is restored: what is drawn
    is a function of data and generator alone. Reading takes the host's time, so that no draw can be captured in a CUDA
    graph. For one thread.
    """

    def __init__(self, source: Split | Pictures, device: torch.device) -> None:
        self.source = source
        self.labels = None if source.labels is None else source.labels.to(device)
        self._device = device
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        # Tasks that take turns on one data set have a generator each.
        self._guesses: WeakKeyDictionary[torch.Generator, _Guess] = WeakKeyDictionary()
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @property
    def size(self) -> int:
        """Number of images."""
        return self.source.size

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, ``(c, h, w)``."""
        return self.source.shape

    def to(self, device: torch.device) -> Split:
        """Read all images, and return them and their labels held on ``device``."""
        images = torch.empty(self.size, *self.shape, dtype=torch.uint8, device=device)
        start = 0
        for chunk in self.source.chunks(CHUNK):
            images[start : start + len(chunk)] = chunk
            start += len(chunk)
        return Split(images, None if self.labels is None else self.labels.to(device))

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw uint8 ``(n, c, h, w)``, with replacement, and their int64 indices ``(n,)``.

        Raises:
            InputError: an image cannot be read any more.
        """
        guess, state = self._guesses.pop(rng, None), rng.get_state()
        index = self._indices(n, rng)
        if guess and guess.n == n and torch.equal(guess.state, state):
            images = guess.images.result()
        else:
            images = self._read(index)
        self._guesses[rng] = self._guess(n, rng)
        return images.to(self._device, non_blocking=True), index

    def take(self, index: Tensor) -> Tensor:
        """Return the images at ``index``, int64 ``(n,)``, on the device."""
        return self._read(index).to(self._device)

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Yield all images in their order, ``size`` at a time, on the device; the next are read meanwhile."""
        following = self._ahead.submit(next, chunks := self.source.chunks(size), None)
        while (chunk := following.result()) is not None:
            following = self._ahead.submit(next, chunks, None)
            yield chunk.to(self._device)

    def _guess(self, n: int, rng: torch.Generator) -> _Guess:
        copy = torch.Generator(rng.device)
        copy.set_state(state := rng.get_state())

        def read() -> Tensor:
            # On a stream of its own, so that it does not wait for what is being trained.
            with torch.cuda.stream(self._stream) if self._stream else nullcontext():
                return self._read(self._indices(n, copy))

        return _Guess(n, state, self._ahead.submit(read))

    def _indices(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randint(self.size, (n,), generator=rng, device=rng.device)

    def _read(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` on the CPU, where CUDA copies them from without waiting."""
        pinned = self._device.type == "cuda"
        # What pins memory starts CUDA on the device that is current.
        with torch.cuda.device(self._device) if pinned else nullcontext():
            if isinstance(self.source, Pictures):
                return self.source.read(index.tolist(), pinned=pinned)
            images = self.source.take(index.cpu())
            return images.pin_memory() if pinned else images
