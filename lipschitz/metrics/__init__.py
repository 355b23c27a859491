"""Metrics of generated samples, one file each, and the catalogue of every recorded value.

- base: `Metric`. points, classifier, inception, images: metrics, by what they judge. recorded: all other values.
- catalogue: names and descriptions. further: entries of a sweep file. samples, context: what a metric receives.
- frechet, mmd, mode_coverage, mutual_information, precision_recall, wasserstein: pure functions of arrays.
- inner_products: shared blocks of inner products. sample_arrays: checks of arrays.
"""
