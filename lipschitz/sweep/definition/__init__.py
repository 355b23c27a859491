"""From a sweep file (YAML) to runs."""
