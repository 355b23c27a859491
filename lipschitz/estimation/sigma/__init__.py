"""Largest singular values (σ) of layers.

- layer_sigmas: σ of the reshaped kernel and of the operator. operators: a layer as a linear operator.
- lanczos: Lanczos iteration. gram_matrix: of dense matrices, by their Gram matrix.
- batched_host_copies: several iterations advance together, so that one device-to-host copy serves all.
"""
