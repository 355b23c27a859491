"""Named protocols of FID, KID, Inception Score and neighbourhoods, one module each."""
