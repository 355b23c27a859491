"""One file per method: the ways to bound a discriminator's Lipschitz constant."""
