"""Singular values of layers, and bounds of a network's Lipschitz constant: linear algebra only.

- measure: σ of every layer and the bracket of a network. measurement_parts: its progress and its time limit.
- layers: layers with a weight, and their input shapes.
- sigma/: σ of layers. lower_bound/: search for a steep point. upper_bound/: certified bounds.
- exact/: the exact constant of a piecewise-linear network on one or two inputs.
- bracket: both bounds together, and what it means if they contradict. network_checks: what is measured at all.
- float64_copy: the copy that is measured. batch_norm_folding: normalization as part of the layer before it.
  fixed_labels: a conditional network as a function of the sample.
"""
