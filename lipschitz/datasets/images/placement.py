"""Place images on the device if they fit; otherwise stream them from memory or files."""

import os
from collections.abc import Sequence

import torch

from lipschitz.cache import cache_folder, json_cache
from lipschitz.datasets.images.decode import LazyImages
from lipschitz.datasets.images.split import ContentHash, Split
from lipschitz.datasets.images.streaming import StreamedSplit

GPU_SHARE = 1 / 4
"""Share of a GPU's free memory that images may take: several runs may share the GPU, and networks need the rest."""
HOST_SHARE = 1 / 2
"""Share of the host's memory that the images of all processes may take: one process a core, each with its images."""
MIN_PROCESSES = 4
"""Processes that the host's memory is divided by if it has fewer cores: other processes run too."""
Source = Split | LazyImages
"""Images before they are placed: in the host's memory, or in files."""
Placed = Split | StreamedSplit
"""Images on the device, or streamed to it."""
_HASHES = json_cache("the hash of images")


def place(sources: Sequence[Source], device: torch.device) -> tuple[list[Placed], str]:
    """Return the splits, on ``device`` if all of them fit together, and the SHA-256 of their content in hex.

    Raises:
        InputError: an image cannot be read.
    """
    # Images in the host's memory already take no more of it.
    here = device.type == "cpu" and not any(isinstance(source, LazyImages) for source in sources)
    if here or sum(_bytes(source) for source in sources) <= memory_limit(device):
        content = ContentHash()
        placed: list[Placed] = [_on_device(source, device, content) for source in sources]
        return placed, content.hexdigest()
    return [StreamedSplit(source, device) for source in sources], _cached_hash(sources)


def memory_limit(device: torch.device) -> float:
    """Return how many bytes of images ``device`` may hold: a share of a GPU's free memory, or of the host's memory."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return GPU_SHARE * float(free)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # All cores, also those that this process may not use: processes on them share the memory.
    return HOST_SHARE * memory / max(MIN_PROCESSES, os.cpu_count() or 1)


def _bytes(source: Source) -> int:
    return source.size * int(torch.tensor(source.shape).prod())


def _on_device(source: Source, device: torch.device, content: ContentHash) -> Split:
    if isinstance(source, Split):
        content.update(source)
        return source.to(device)
    images = torch.empty(source.size, *source.shape, dtype=torch.uint8, device=device)
    start = 0
    for chunk in content.hashed_chunks(source):
        images[start : start + len(chunk)] = chunk
        start += len(chunk)
    return Split(images, None if source.labels is None else source.labels.to(device))


def _cached_hash(sources: Sequence[Source]) -> str:
    """Return the hash of streamed images: from the cache if possible, since computing it reads all of them."""
    keys = [source.cache_key() if isinstance(source, LazyImages) else None for source in sources]
    if None in keys:
        return _hash(sources)
    return str(_HASHES.get(cache_folder("datasets", "hashes"), keys, lambda: _hash(sources)))


def _hash(sources: Sequence[Source]) -> str:
    content = ContentHash()
    for source in sources:
        content.update(source)
    return content.hexdigest()
