"""Intervals, ranks, summaries over training seeds."""
