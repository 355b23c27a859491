"""Metrics of generated images in the features of the FID's Inception network, recorded for each protocol.

- fid, kid: distances to real images. inception_score: of generated images alone.
- precision, recall, density, coverage: by k-nearest-neighbour balls, which nearest_neighbours computes once.
"""
