"""The timing pass: what a training step takes."""
