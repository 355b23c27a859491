"""Points and images, held on the device or streamed to it, with their hashes."""
