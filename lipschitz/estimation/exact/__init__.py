"""The exact Lipschitz constant of a piecewise-linear network on one or two inputs.

- constant: the constant of a network, or why it is not computed.
- subdivision: the search through all linear regions. slope_bounds: bounds by which it leaves regions out.
- polygons: convex polygons, bounded or not. line_cuts: how lines cut them.
- rectified_stages: a network as affine maps and two-slope activations.
- affine_trace: read these maps off a network's forward pass. activations: activations as two-slope functions.
"""
