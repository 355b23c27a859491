"""The timing pass: how long a training step takes, and how many runs share a GPU.

- timing_pass: all configurations in rounds, summarised. one_round: one of them. throughput: packs of runs.
- timing_files: timings on disk. estimate: training time of unfinished runs, and the runs that share a worker.
- prediction: training and evaluation on a GPU from counted operations, where nothing was timed.
"""
