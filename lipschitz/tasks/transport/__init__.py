"""Wasserstein-1 critics where the optimal transport is known."""
