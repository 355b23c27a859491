"""The figures of a report. A plot is one file with a function that is registered with `base.plot`.

base: registration, and plots from elsewhere. data: what figures are drawn from. gallery: order and limit. look: fonts,
of the page and of a paper. panels, rows, lines, facets, heat_map: layout, axes, labels. file_formats: SVG, PDF, PNG.
Plots of a comparison: brackets, curves, gradients, layers, quality_by_cost, samples, spectra, step_time, surfaces.
Plots of the whole sweep: final_quality, average_rank, by_setting, by_dimension, surfaces.
"""
