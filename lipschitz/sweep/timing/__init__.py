"""The timing pass: how long a training step and an evaluation take, and how many runs and workers share a GPU.

- timing_pass: all configurations in rounds, summarised. one_round: one of them. throughput: packs of runs.
- shared_device: one evaluation, and worker processes that share a GPU. workers: choice of their number.
- timing_files: timings on disk. estimate: training time of unfinished runs, and the runs that share a worker.
- prediction: training and evaluation on a GPU from counted operations, where nothing was timed.
"""
