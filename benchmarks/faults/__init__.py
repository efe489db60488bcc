"""Tries to break the package, counted: ``python -m benchmarks.faults``."""
