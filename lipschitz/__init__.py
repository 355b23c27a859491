"""A measured comparison of Lipschitz constraints: one backbone, one change at a time."""

__version__ = "0.1.0"
