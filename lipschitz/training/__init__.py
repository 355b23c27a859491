"""The training loop and what it needs; it knows no task by name.

- loop: `Trainer`, which trains, evaluates and checkpoints one run; task: the `Task` protocol that it asks for.
- iterations: training iterations one by one, or several at once as a CUDA graph.
- journal, checkpoint: records, results and checkpoints of a run, and how it is resumed from them.
- observers: hooks that are called while a run trains; csv, tensorboard. clock: synchronised times and their intervals.
"""
