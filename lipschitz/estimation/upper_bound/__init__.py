"""Certified upper bounds of the Lipschitz constants of layers, and of a network composed over its torch.fx graph."""
