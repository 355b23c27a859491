"""What the report calls things of each task, as the task's folder says it in ``wording.py``."""

import pkgutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import lipschitz.tasks
from lipschitz.tasks.generation.wording import WORDING as GENERATION
from lipschitz.tasks.wording import Wording


@cache
def wording(task: str) -> Wording:
    """Return the words of ``task``; those of generation for a task without ``wording.py``."""
    name = f"lipschitz.tasks.{task}"
    if not task.isidentifier() or find_spec(name) is None or find_spec(f"{name}.wording") is None:
        return GENERATION
    found: Wording = import_module(f"{name}.wording").WORDING
    return found


def floors() -> tuple[str, ...]:
    """Return what the tasks call the reference row of a table, such as ``real data``."""
    tasks = [module.name for module in pkgutil.iter_modules(lipschitz.tasks.__path__) if module.ispkg]
    return tuple(dict.fromkeys(wording(task).floor for task in tasks))
