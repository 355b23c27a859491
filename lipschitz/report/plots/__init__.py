"""The figures: one module a family, each a function from one comparison's evidence to a figure."""
