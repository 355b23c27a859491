"""Engines: how the runs of a sweep are dispatched to workers and trained.

- base: `Engine`, `ENGINES`, `Progress`. local: worker processes on this machine. together: measure several at once.
- dispatcher: the queue of their jobs, requeueing of lost jobs, time-outs. worker_process: a worker as it sees it.
- site: where and how runs are made, `--device` and `--workers`. job: a run on a site.
- worker: trains runs in turn. active_run: one of them. in_process: trains a run here.
"""
