"""Extension points: what a user adds as one file, and how it is found.

- point: `ExtensionPoint`, a kind of thing (constraint, data set, model, loss, ...) with its catalogue.
- discovery: the classes that the modules of a package define.
- origin: classes from outside the package, in a file or offered by an entry point of another package.
"""
