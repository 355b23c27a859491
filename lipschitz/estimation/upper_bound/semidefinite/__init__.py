"""Certified upper bounds of chains of linear maps and activations by semidefinite relaxation (LipSDP, ECLipsE-Fast).

certificate: the bound, its proof, and the search for multipliers. steps: the steps of a chain. layout: which steps run
on a torus, at its frequencies, and which on vectors. frequencies: of the torus. operations: what a step does.
"""
