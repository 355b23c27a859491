"""Extension points: what a user adds as one file, and how it is found.

- point: `ExtensionPoint`, a kind of thing (constraint, data set, loss, ...) and its catalogue.
- discovery: classes of modules. origin: classes from a file or from an entry point of another package.
- entry: entries of a sweep file, a name or a name with fields, as pydantic reads them.
"""
