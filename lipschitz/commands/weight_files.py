"""Load a network's weights from a checkpoint of torch.save or safetensors: nested, prefixed, of older versions."""

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.errors import InputError, first_line, nearest

WRAPPERS = {"module", "_orig_mod"}
"""Parts of a state dict's keys that ``DataParallel`` and ``torch.compile`` add."""
SHOWN_KEYS = 3
"""Most keys of a state dict that an error names."""
STATE_DICT = "what torch.save(net.state_dict(), file) writes"


class Candidate(NamedTuple):
    """A state dict within a file."""

    key: str
    """Where it is: keys of nested dictionaries, and a prefix of the keys of a state dict, joined by dots."""
    state: dict[str, Tensor]

    def __str__(self) -> str:
        return f"'{self.key}'" if self.key else "the whole file"


def load_weights(net: nn.Module, path: Path, key: str | None = None) -> None:
    """Load the one state dict of a file that fits ``net``; whether one fits is decided by ``net.load_state_dict``.

    Tried are all dictionaries of tensors in the file, also without the prefixes of wrappers, and the part of each below
    a prefix, such as the ``netD.`` of a whole GAN.

    Args:
        net: receives the weights.
        path: a file of ``torch.save``, read with ``weights_only=True``, or one that ends in ``.safetensors``.
        key: `Candidate.key` of the state dict, where several fit.

    Raises:
        InputError: the file cannot be read, or no state dict fits, or several do.
        OSError: the file cannot be opened.
    """
    least = len(list(net.parameters()))
    candidates = list(_distinct(_candidates(_content(path), least)))
    if not candidates:
        raise InputError(f"{path}: holds no state dict; allowed: {STATE_DICT}")
    if key is not None:
        keys = [candidate.key for candidate in candidates]
        candidates = [candidate for candidate in candidates if candidate.key == key]
        if not candidates:
            raise InputError(f"{path}: no state dict at '{key}'; {nearest(key, filter(None, keys))}")
    # An optimiser keeps a dictionary of tensors for each parameter.
    large = [candidate for candidate in candidates if len(candidate.state) >= least]
    tried = [(candidate, _misfits(net, candidate.state)) for candidate in large or candidates]
    fitting = [candidate for candidate, misfits in tried if not misfits]
    if not fitting:
        best, misfits = min(tried, key=lambda one: sum(map(len, one[1].values())))
        where = f"{path}: {best}" if best.key else str(path)
        raise InputError(f"{where}: does not fit the network: {'; '.join(_sentences(misfits))}")
    if len(fitting) > 1:
        raise InputError(
            f"{path}: several state dicts fit: {_some([*map(str, fitting)], 9)}; choose one by --weights-key"
        )
    net.load_state_dict(fitting[0].state)


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return _safetensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch.load raises nearly anything on a file that it did not write.
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            what = f"holds '{refused[1]}', which torch refuses (weights_only=True)"
        elif "TorchScript" in str(error):
            what = "is a TorchScript archive, which torch refuses (weights_only=True)"
        else:
            what = "holds no state dict"
        raise InputError(f"{path}: {what}; allowed: {STATE_DICT}") from error


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise InputError(f"{path}: needs the package safetensors: pip install 'lipschitz[safetensors]'") from None
    try:
        return load_file(path)
    except OSError:
        raise
    except Exception as error:
        raise InputError(f"{path}: is no safetensors file: {first_line(error)}") from error


def _candidates(content: Any, least: int) -> Iterator[Candidate]:
    """Yield every state dict of a file; of those below a prefix only the ones with ``least`` tensors or more."""
    for key, state in _state_dicts(content, "", set()):
        for names in (state, _without_wrappers(state)):
            yield Candidate(key, names)
            for prefix in _prefixes(names):
                part = {name.removeprefix(prefix): value for name, value in names.items() if name.startswith(prefix)}
                if len(part) >= least:
                    yield Candidate(f"{key}.{prefix}".strip("."), part)


def _state_dicts(content: Any, key: str, within: set[int]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    # A file may hold a dictionary that holds itself.
    if not isinstance(content, Mapping) or id(content) in within:
        return
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if tensors:
        yield key, tensors
    for name, value in content.items():
        yield from _state_dicts(value, f"{key}.{name}".strip("."), within | {id(content)})


def _without_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {".".join(part for part in name.split(".") if part not in WRAPPERS): state[name] for name in state}


def _prefixes(state: Mapping[str, Tensor]) -> list[str]:
    ends = ((name, match.end()) for name in state for match in re.finditer(r"\.", name))
    return list(dict.fromkeys(name[:end] for name, end in ends))


def _distinct(candidates: Iterator[Candidate]) -> Iterator[Candidate]:
    """Yield the first of the candidates with the same tensors by the same names."""
    seen = set()
    for candidate in candidates:
        content = frozenset((name, id(value)) for name, value in candidate.state.items())
        if content not in seen:
            seen.add(content)
            yield candidate


def _misfits(net: nn.Module, state: dict[str, Tensor]) -> dict[str, list[str]]:
    """Return why torch does not load ``state``, by kind; empty if it does, and ``net`` then holds it."""
    try:
        net.load_state_dict(state)
    except Exception as error:  # A module may have its own way to load.
        misfits: dict[str, list[str]] = {}
        lines = str(error).splitlines()
        for line in lines[1:] or [first_line(error, with_type=True)]:
            if keys := re.match(r"\s*(Missing|Unexpected) key\(s\) in state_dict: (.*)", line):
                misfits[keys[1]] = [f"'{name}'" for name in re.findall(r'"([^"]*)"', keys[2])]
            elif sizes := re.match(r"\s*size mismatch for (\S+): .*?Size\((.*?)\).*Size\((.*?)\)", line):
                misfits.setdefault("different", []).append(
                    f"'{sizes[1]}' is {_tuple(sizes[2])}, not {_tuple(sizes[3])}"
                )
            else:
                misfits.setdefault("other", []).append(line.strip())
        return misfits
    return {}


def _sentences(misfits: Mapping[str, list[str]]) -> Iterator[str]:
    starts = {"Missing": "it lacks ", "Unexpected": "the network lacks "}
    for kind, items in misfits.items():
        yield starts.get(kind, "") + _some(items)


def _tuple(sizes: str) -> str:
    return str(tuple(int(size) for size in re.findall(r"\d+", sizes)))


def _some(items: list[str], shown: int = SHOWN_KEYS) -> str:
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more
