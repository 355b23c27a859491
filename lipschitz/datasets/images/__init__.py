"""Data sets of images.

- image_data: `ImageData`, draws of images. split: hold out, labels, content hash. published: base class of downloads.
- placement: on the device or streamed; streaming: images that do not fit. decode, crop: image files to tensors.
- listing: image files of a folder. npz_arrays: arrays of a file, checked before they are read.
- cifar, mnist, svhn, stl10, celeba, lsun, digits: data sets. npz, folder: images of the user. torchvision_import.
"""
