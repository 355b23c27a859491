"""The loop, checkpoints and the clock; knows no task by name."""
