"""The tables of a sweep.

build: the tables of each data set and model. cost, time_to_target: their columns of cost and of time to a quality.
robustness: the table that compares settings. table: a table as plain cells. markdown_and_latex: prints it.
"""
