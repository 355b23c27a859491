"""Plain torch modules, built from records; they know no constraint."""
