"""Data sets of images: formats, splits, decoding, placement on the device, streaming."""
