"""Observers: what is told how a run goes, such as a logger; a user adds one as one file.

- base: `Observer`, the base class with its hooks.
- catalogue: the extension point, by the names of observers.
- csv, tensorboard: the observers of the package, one module each.
"""
