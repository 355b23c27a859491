"""Quality of what was generated: pure functions of arrays."""
