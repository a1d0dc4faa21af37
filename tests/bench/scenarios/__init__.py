"""One module for each scenario: `run` measures, and returns figures."""
