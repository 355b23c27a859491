"""Data sets of images.

image_data: `ImageData`, draws of images. split: hold out, labels, content hash. placement: device or streaming.
streaming: images that do not fit. decode, crop: image files to tensors. published: base class of published data sets;
cifar_format, mnist_format: their files. torchvision_import. The other modules are data sets, named after them.
"""
