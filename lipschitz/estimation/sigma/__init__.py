"""Largest singular values (σ) of layers.

layer_sigmas: σ of the reshaped kernel and of the operator. lanczos: Lanczos iteration. operators: a layer as a linear
operator. batched_host_copies: several iterations advance together, so that one device-to-host copy serves all.
"""
