"""Data sets of points: distributions over the plane.

point_data: `PointData`, sampling and hashes. The other modules are data sets, named after them.
"""
