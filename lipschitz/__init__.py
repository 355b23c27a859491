"""Compare Lipschitz constraints for GAN discriminators on the same networks, data and seeds."""

__version__ = "0.1.0"
