"""Named random generators, one for each purpose, so that the draws of one method do not change those of another."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from lipschitz.errors import InputError


def stream_seed(seed: int, name: str) -> int:
    """Derive the 63-bit seed of the stream called ``name`` of the run seeded by ``seed``."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator on ``device`` for the stream called ``name`` of the run seeded by ``seed``.

    For the meta device, which has no generators, it is one on the CPU.
    """
    on_meta = torch.device(device).type == "meta"
    return torch.Generator("cpu" if on_meta else device).manual_seed(stream_seed(seed, name))


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """Seed torch's global CPU generator by the stream ``name`` for the block, and put it back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, name))
        yield


class RandomStreams:
    """The named generators of one run on one device, with their states for checkpoints."""

    def __init__(self, seed: int, names: Iterable[str], device: torch.device) -> None:
        self._generators = {name: stream(seed, name, device) for name in names}

    def __getitem__(self, name: str) -> torch.Generator:
        return self._generators[name]

    def generators(self) -> list[torch.Generator]:
        """Return all generators."""
        return list(self._generators.values())

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state of each generator by name."""
        return {name: generator.get_state() for name, generator in self._generators.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            InputError: these are states of generators on the other kind of device.
        """
        for name, generator in self._generators.items():
            if state[name].numel() != generator.get_state().numel():
                here = generator.device.type
                raise InputError(begun_on_other_device("cpu" if here == "cuda" else "cuda", here))
            generator.set_state(state[name])


def begun_on_other_device(begun: str, here: str) -> str:
    """Return why a run that was begun on one kind of device cannot go on on another, and what to do."""
    return (
        f"begun on {begun}, whose random numbers cannot go on on {here}; "
        f"use --device {begun}, or remove this folder to start the run again"
    )
