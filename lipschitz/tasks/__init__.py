"""Tasks: what is trained, how one step is made, and how it is evaluated.

- generation, transport: one folder a task, with its class, its training, its evaluation and its words for the report.
- base, catalogue, wording: what a task declares; the extension point.
- terms, settings, losses, optimisers: the definition of a run as a task sees it.
- player: a network with optimiser and constraints; precision, memory_format: how its steps compute.
- measurement, surfaces: what is measured and drawn of every discriminator.
"""
