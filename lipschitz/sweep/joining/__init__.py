"""Many processes on one sweep, on any number of machines that share its folder: the folder is the queue.

- members: who takes part; each has a file that changes while it lives. claims: who makes which run.
- claimed_jobs: the queue of jobs that nobody has claimed. shared_folder: the sweep's folder with others in it.
- slurm, ray_tasks: such processes as jobs of SLURM, as tasks of Ray.

Nothing is locked. A claim is a hint that saves work; what keeps results right is that each attempt has a folder of its
own, and that the first result counts (`lipschitz.sweep.attempt`).
"""
