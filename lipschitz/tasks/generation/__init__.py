"""GAN training and its evaluation."""
