"""Fault injection: what happens to a sweep when files, processes, the machine, methods or inputs go wrong.

fault: a row of the table. processes, machine, files, folders, methods, sweep_files, hostile_files: the rows. trial: one
try in a folder of its own. outcome: what it lost, and what was said. references: undisturbed sweeps. commands: real
processes of the command line. engine: trains in the calling process. table: writes the results.
"""
