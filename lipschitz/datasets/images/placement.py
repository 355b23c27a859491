"""Where images are kept: on the device when they fit, else where they are, to be streamed."""

import os
from collections.abc import Sequence

import torch

from lipschitz.cache import cache_folder, json_cache
from lipschitz.datasets.images.decode import Pictures
from lipschitz.datasets.images.split import ContentHash, Split
from lipschitz.datasets.images.streaming import StreamedSplit

GPU_SHARE = 1 / 4
"""Of a GPU's memory that is free, what images may take: several runs may share it, and networks need the rest."""
HOST_SHARE = 1 / 2
"""Of the machine's memory, what the images of all processes may take: each has its own, and a core has one."""
FEWEST = 4
"""Processes that memory is shared out among on a machine of few cores, since others run beside them."""
Source = Split | Pictures
"""Images before they have a place: in the host's memory, or in files."""
Placed = Split | StreamedSplit
"""Images held on the device, or streamed to it."""
_HASHES = json_cache("the hash of images")


def place(sources: Sequence[Source], device: torch.device) -> tuple[list[Placed], str]:
    """Return the splits, held on ``device`` if all fit there together, and the SHA-256 of their content in hex.

    Raises:
        InputError: a picture cannot be read.
    """
    # What lies in the host's memory already takes no more of it.
    here = device.type == "cpu" and not any(isinstance(source, Pictures) for source in sources)
    if here or sum(_bytes(source) for source in sources) <= limit(device):
        content = ContentHash()
        held: list[Placed] = [_held(source, device, content) for source in sources]
        return held, content.hex()
    return [StreamedSplit(source, device) for source in sources], _cached_hash(sources)


def limit(device: torch.device) -> float:
    """Return how many bytes of images may be held on ``device``: a share of what a GPU has free, or of the host's."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return GPU_SHARE * float(free)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return HOST_SHARE * memory / max(FEWEST, os.cpu_count() or 1)


def _bytes(source: Source) -> int:
    return source.size * int(torch.tensor(source.shape).prod())


def _held(source: Source, device: torch.device, content: ContentHash) -> Split:
    if isinstance(source, Split):
        content.of(source)
        return source.to(device)
    images = torch.empty(source.size, *source.shape, dtype=torch.uint8, device=device)
    start = 0
    for chunk in content.passing(source):
        images[start : start + len(chunk)] = chunk
        start += len(chunk)
    return Split(images, None if source.labels is None else source.labels.to(device))


def _cached_hash(sources: Sequence[Source]) -> str:
    """Return the hash of images that stay where they are: from the cache, since computing it reads them all."""
    identities = [source.identity() if isinstance(source, Pictures) else None for source in sources]
    if None in identities:
        return _hash(sources)
    return str(_HASHES.get(cache_folder("datasets", "hashes"), identities, lambda: _hash(sources)))


def _hash(sources: Sequence[Source]) -> str:
    content = ContentHash()
    for source in sources:
        content.of(source)
    return content.hex()
