"""Engines: how the runs of a sweep are dispatched to workers and trained.

- base, catalogue: the class `Engine`, and engines by name. local: worker processes, and the queue of their jobs.
- site: where and how runs are made, `--device` and `--workers`. job: a run on a site.
- worker: trains runs in turn. process: sets up its process. in_process: trains a run in the calling process.
"""
