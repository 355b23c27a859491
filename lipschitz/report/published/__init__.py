"""What others published of the same pairs and images, and how a sweep's own numbers stand beside it."""
