"""What is trained and judged: how one run is built, stepped and evaluated."""
