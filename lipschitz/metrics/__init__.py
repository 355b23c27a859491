"""Metrics of generated samples, and the catalogue of every recorded value.

- base: `Metric`. points, classifier, inception: metrics by what they compare. recorded: all other values.
- catalogue: names, and metrics of files. description: title and direction. samples, context: what a metric gets.
- frechet, mmd, mode_coverage, mutual_information, precision_recall, wasserstein: pure functions of arrays or tensors.
- inner_products: shared blocks of inner products. sample_arrays: checks of arrays and tensors.
- float64_arithmetic: sums, norms and singular values, by NumPy on the CPU and by torch on a GPU.
"""
