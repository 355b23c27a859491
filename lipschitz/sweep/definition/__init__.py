"""From a sweep file (YAML) to runs.

- sweep_file: reads, validates and expands a sweep file. yaml_document, yaml_events: its values and line numbers, and
  what is not plain YAML.
- axes: the keys of a sweep file, and its JSON Schema. expansion: the product of axes, and what is refused.
- dry_step, peak_bytes, call_apart: one training step of a configuration without values, the memory that it needs, and a
  process of its own for code from outside.
- run: one training, with its id. selection: settings chosen by results. run_filter: some of the runs.
- overrides: values from the command line. entry_labels: what tables and plots call an entry.
"""
