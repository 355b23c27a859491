"""Lower bounds of a network's Lipschitz constant: input-gradient norms and gradient ascent."""
