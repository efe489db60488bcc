"""Benchmarks: each module runs with ``python -m`` and prints its targets beside its figures."""
