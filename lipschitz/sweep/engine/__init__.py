"""Engines: how the runs of a sweep are dispatched to workers and trained.

- base: `Engine`, `ENGINES`, `Progress`. local: worker processes on this machine. together: measure several at once.
- dispatcher: gives jobs of a job_queue to workers, requeues lost jobs, ends workers that hang.
- worker_process: a worker as the dispatcher sees it.
- site: where and how runs are made, `--device` and `--workers`. job: a run on a site.
- worker: trains runs in turn. active_run: one of them. in_process: trains a run here.
- earlier_attempts: the checkpoint that a run goes on from.
"""
