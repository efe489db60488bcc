"""Findings about a fit, and the verdict."""
