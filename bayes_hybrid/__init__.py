"""Bayesian models of data that are mostly smooth, except when they are not."""

__version__ = "0.1.0"
