"""Verdicts on claims of the field, from committed results: `lipschitz claims`.

- claims_file: the data file with claims, experiments and tests.
- values: per-seed values from the records of a results folder.
- comparisons: one test on one start. verdicts: Holm's correction over an experiment, and the verdict on each claim.
- write, figures: tables, LaTeX, csv, small figures and the page.
"""
