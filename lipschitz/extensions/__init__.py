"""Extension points: classes found in the package, in entry points of other packages, or in a file."""
