"""Largest singular values (σ) of layers: exact for the reshaped kernel, by Lanczos for the operator."""
