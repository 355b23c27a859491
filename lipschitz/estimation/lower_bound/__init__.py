"""Lower bounds of a network's Lipschitz constant.

gradient_norms: norms of input gradients at given points. gradient_ascent: ascent over pairs of points.
"""
