"""From a sweep file (YAML) to runs.

- sweep_file: reads, validates and expands a sweep file. yaml_document: its values and line numbers.
- axes: the keys of a sweep file, and its JSON Schema. expansion: the product of axes, and what is refused.
- run: one training, with its id. selection: settings chosen by results.
"""
