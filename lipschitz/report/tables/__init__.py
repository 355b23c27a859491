"""The tables of a sweep.

``build`` makes the tables of each data set and model, with ``cost`` and ``time_to_target`` for some of their columns;
``robustness`` compares settings. ``table`` is a table as plain cells; ``markdown_and_latex`` prints it.
"""
