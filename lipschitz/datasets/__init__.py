"""Data sets, each with a hash of its content.

base: `Dataset` and `Data`. catalogue: every data set by name. points: distributions over the plane. images: images on
the device or streamed to it. transport: pairs with known optimal transport. files: download, check and unpack.
"""
