"""Engines and workers: how runs are distributed and trained."""
