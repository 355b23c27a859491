"""Metrics of generated 8-bit images as they are: none of the package's own, for those of files and other packages."""
