"""Points and images, held on the device, with their hashes."""
