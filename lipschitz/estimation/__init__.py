"""Singular values of layers and Lipschitz bounds of networks: linear algebra only."""
