"""Metrics of generated points: w1; modes and high_quality of Gaussian mixtures."""
