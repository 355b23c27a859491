"""Optimisers, one module each; a setting names one."""
