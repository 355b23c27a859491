"""The task transport: a critic estimates a Wasserstein-1 distance whose optimal potential is known.

- transport: the task that a sweep file names; critic_training: the critic and its updates.
- potential: its evaluation against the optimal potential; wording: the words of the report.
"""
