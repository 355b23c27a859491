"""Maps from images to vectors, and what is kept of real images: the spaces in which generated ones are judged."""
