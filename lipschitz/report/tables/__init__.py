"""The tables of a sweep.

build: the tables of each data set and model. configurations: their rows. cost, time_to_target: columns of cost and of
time to a quality. Of classifiers: generalization_gap, rank_correlation, robust_accuracy, against_none, image_notes.
average_rank: methods over all places.
robustness: the table that compares settings. metrics_table: one of chosen metrics for a paper. table: a table as plain
cells. markdown_and_latex: prints it. latex_text: escapes text.
"""
