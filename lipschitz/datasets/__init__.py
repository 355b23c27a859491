"""Data sets, each with a hash of its content.

- base: `Dataset`, `Data`, `DATASETS`. points: distributions over the plane; point_data: how they are drawn.
- images/: images on the device or streamed to it. transport/: pairs with known optimal transport.
- download: download published files, check their MD5, unpack archives.
"""
