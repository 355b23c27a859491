"""The Python API, ``import lipschitz as lip``: what `lipschitz.API` names and no lower folder defines.

constrained  a network of yours with a constraint, in a training loop of yours
results      the tables of a results folder, as DataFrames
sweep        run a sweep file
"""
