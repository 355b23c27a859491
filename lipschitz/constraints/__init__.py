"""Lipschitz constraints on the discriminator, one file per method."""
