"""Metrics of generated images in the features of the data set's reference classifier.

- frechet_classifier, w1_classifier, kid_classifier: distances to held-out images.
- intra_frechet_classifier, class_share: by class, for conditional generators.
"""
