"""Metrics of generated samples: pure functions of arrays, and the catalogue of every recorded name."""
