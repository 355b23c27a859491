"""Metrics of generated samples and of classifiers, and the catalogue of every recorded value.

- base: `Metric`. points, classifier, random_network, inception: metrics by what they compare.
- recorded, recorded_robustness: all other values.
- catalogue: names, and metrics of files. description: title and direction. samples, context: what a metric gets.
- frechet, mmd, mode_coverage, mutual_information, precision_recall, wasserstein: pure functions of arrays or tensors.
- predictions, margins, generalization_gap: of a classifier. attacks, robustness: adversarial and certified accuracy.
  sensitivity: to noise on inputs and weights. spectral_complexity: of its weights.
- inner_products: shared blocks of inner products. sample_arrays: checks of arrays and tensors.
- float64_arithmetic: sums, norms and singular values, by NumPy on the CPU and by torch on a GPU.
"""
