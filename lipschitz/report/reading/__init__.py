"""Read a results folder into DataFrames.

``results`` holds all tables of a sweep; ``runs`` reads its run folders; ``tuning`` marks settings chosen by results;
``comparisons`` says which runs are compared. ``metric_names`` and ``display_names`` parse names of metrics and labels;
``timing`` lists the numbers of a timing.
"""
