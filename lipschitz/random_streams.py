"""Named random streams: what one method draws never shifts what another sees."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def stream_seed(seed: int, name: str) -> int:
    """Derive the 63-bit seed of the stream called ``name`` of the run seeded by ``seed``."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator on ``device`` for the stream called ``name`` of the run seeded by ``seed``."""
    return torch.Generator(device).manual_seed(stream_seed(seed, name))


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """Seed torch's global CPU generator by the stream ``name`` for the block, and put it back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, name))
        yield
