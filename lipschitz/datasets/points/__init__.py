"""Distributions over the plane."""
