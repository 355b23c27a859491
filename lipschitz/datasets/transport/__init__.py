"""Pairs of distributions with known optimal transport."""
