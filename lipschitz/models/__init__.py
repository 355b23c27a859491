"""Discriminators and generators as plain torch modules, built from records, independent of constraints."""
