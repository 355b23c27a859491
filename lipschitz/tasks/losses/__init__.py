"""GAN losses, one module each: an axis of a sweep, independent of the constraint."""
