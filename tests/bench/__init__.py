"""Measures devloop on this machine, beside floors that were measured in the same run. See docs/performance.md."""
