"""A page over several results folders.

- reported_folder: what the files of a folder say. page: the same methods side by side.
"""
