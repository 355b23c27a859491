"""Tasks: what is trained, how one step is made, and how it is evaluated.

- base: `TaskKind`, `TASKS`. generation/, transport/, classification/: one folder a task. wording: words of reports.
- terms, settings, schedules, losses, augmentation, optimisers, muon: the definition of a run as a task sees it.
- player: a network with optimiser and constraints; one_network: a run that trains one, with its checkpoints.
- precision, memory_format: how steps compute.
- side_stream: work that runs beside other work of a step on a GPU.
- averaging: what is left of the initial weights in an average of weights.
- measurement, surfaces: what is measured and drawn of every discriminator.
"""
