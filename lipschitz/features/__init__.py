"""Feature networks for images, protocols of FID, KID and Inception Score, and cached statistics of real images."""
