"""Singular values of layers, and lower and upper bounds of a network's Lipschitz constant, by linear algebra."""
