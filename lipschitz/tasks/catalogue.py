"""The catalogue of tasks, by the names that sweep files use."""

from lipschitz.extensions.point import ExtensionPoint
from lipschitz.tasks.base import TaskKind

TASKS = ExtensionPoint("task", "tasks", "lipschitz.tasks", TaskKind)
