"""Feature networks for images, and cached statistics of real images.

- inception: the Inception network of the FID; inception_weights: its weights. protocols: images that an FID compares.
- real_statistics: what a protocol needs of real images. reference_classifier: a classifier of the same data set.
  random_network: one that is not trained, for images without labels.
"""
