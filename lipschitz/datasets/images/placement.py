"""Place images on the device if they fit; otherwise stream them from memory or files."""

import json
import os
from collections.abc import Sequence

import torch

from lipschitz.cache import Cache, cache_folder
from lipschitz.datasets.images.decode import LazyImages
from lipschitz.datasets.images.split import Content, ContentReader, Split
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
_VERSION = 2
"""Part of the cache key; increase it with every change of `Content`."""
_CONTENTS: Cache[Content] = Cache(
    "the hash of images",
    "json",
    lambda path: Content(**json.loads(path.read_bytes())),
    lambda file, content: file.write(json.dumps(content._asdict()).encode()),
    digits=64,
)


def place(sources: Sequence[Source], device: torch.device) -> tuple[list[Placed], Content]:
    """Return training and held-out images, on ``device`` if all of them fit together, and their content.

    Raises:
        InputError: an image cannot be read.
    """
    # Images in the host's memory already take no more of it.
    here = device.type == "cpu" and not any(isinstance(source, LazyImages) for source in sources)
    if here or sum(_bytes(source) for source in sources) <= memory_limit(device):
        reader = ContentReader()
        placed: list[Placed] = [_on_device(source, device, reader) for source in sources]
        return placed, reader.content()
    return [StreamedSplit(source, device) for source in sources], _cached_content(sources)


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


def _on_device(source: Source, device: torch.device, reader: ContentReader) -> Split:
    if isinstance(source, Split):
        reader.read(source)
        return source.to(device)
    images = torch.empty(source.size, *source.shape, dtype=torch.uint8, device=device)
    start = 0
    for chunk in reader.chunks(source):
        images[start : start + len(chunk)] = chunk
        start += len(chunk)
    return Split(images, None if source.labels is None else source.labels.to(device))


def _cached_content(sources: Sequence[Source]) -> Content:
    """Return the content of streamed images: from the cache if possible, since computing it reads all of them."""
    keys = [source.cache_key() if isinstance(source, LazyImages) else None for source in sources]
    if None in keys:
        return _content(sources)
    facts = [_VERSION, *keys]
    return _CONTENTS.get(cache_folder("datasets", "hashes"), facts, lambda: _content(sources))


def _content(sources: Sequence[Source]) -> Content:
    reader = ContentReader()
    for source in sources:
        reader.read(source)
    return reader.content()
