"""Override values of a sweep file from the command line: ``training.steps=5000``."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lipschitz.errors import InputError, found

BUDGETS = {"steps", "seconds", "epochs"}
"""Fields of ``training`` of which a run has one."""
_FORM = "allowed: KEY=VALUE, such as training.steps=5000 or seeds=[0, 1]"


class Override(NamedTuple):
    """A value that replaces one of the sweep file."""

    keys: tuple[str, ...]
    value: Any
    text: str
    """As it was given."""

    def covers(self, place: Sequence[str | int]) -> bool:
        """Say whether the value at ``place`` of the document is the override's."""
        within = tuple(place[2:] if place[:1] == ("parts",) else place)
        return within[: len(self.keys)] == self.keys


def parse_override(text: str) -> Override:
    """Return the override that ``text`` describes; the value is YAML, as in the file.

    Raises:
        InputError: it has another form.
    """
    key, sign, value = text.partition("=")
    keys = tuple(key.strip().split("."))
    if not sign or not all(keys):
        raise InputError(f"-o {text}: {_FORM}")
    if keys[0] in ("parts", "task"):
        raise InputError(f"-o {text}: '{keys[0]}' is the file's own; {_FORM}")
    try:
        return Override(keys, YAML(typ="safe", pure=True).load(value), text)
    except (YAMLError, ValueError):
        raise InputError(f"-o {text}: {found(value)} is not valid YAML; {_FORM}") from None


def overridden(values: dict[str, Any], overrides: Iterable[Override]) -> dict[str, Any]:
    """Return the ``values`` of a sweep file with overrides, at the top and in each part that has the key itself."""
    values = deepcopy(values)
    for override in overrides:
        _set(values, override)
        parts = values.get("parts")
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and _has(part, override.keys):
                _set(part, override)
    return values


def _has(part: dict[str, Any], keys: tuple[str, ...]) -> bool:
    """Say whether a part has its own value at ``keys``, or another budget in its place."""
    if len(keys) == 1 or not isinstance(part.get(keys[0]), dict):
        return keys[0] in part
    names = BUDGETS if _is_budget(keys) else {keys[1]}
    return bool(names & part[keys[0]].keys())


def _set(values: dict[str, Any], override: Override) -> None:
    """Set the value; a key on the way that is no mapping is refused.

    Raises:
        InputError: the override goes into something else than a mapping.
    """
    *within, last = override.keys
    for key in within:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise InputError(f"-o {override.text}: {key} is no mapping of keys; give its whole value, as {key}=[...]")
    if _is_budget(override.keys):
        for other in BUDGETS:
            values.pop(other, None)
    values[last] = deepcopy(override.value)


def _is_budget(keys: tuple[str, ...]) -> bool:
    return len(keys) == 2 and keys[0] == "training" and keys[1] in BUDGETS
