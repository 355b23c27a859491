"""Sweep files, the store of runs, and the engines that run them."""
