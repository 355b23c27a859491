"""The results folder of a sweep, read into DataFrames.

results: all tables of a sweep. runs: its runs, from their folders or from a report. inputs: whether they had the same
data. tuning: settings chosen by results. comparisons: which runs are compared. metric_names: names of metrics, headings
and protocols. display_names: labels as people read them. timing: numbers of a configuration's timing. image_counts:
images behind a classifier's accuracies. judges: weak reference classifiers. printable_text: text without control
characters.
"""
