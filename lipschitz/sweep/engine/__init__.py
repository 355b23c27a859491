"""Engines: how the runs of a sweep are dispatched to workers and trained.

- base: `Engine`, `ENGINES`, `Progress`. local: worker processes, the queue of their jobs, requeueing of lost jobs.
- site: where and how runs are made, `--device` and `--workers`. job: a run on a site.
- worker: trains runs in turn. process: sets up its process. in_process: trains a run in the calling process.
"""
