"""The command line ``bayes-hybrid``; importing it loads nothing heavy."""

from bayes_hybrid.cli.app import app, main

__all__ = ["app", "main"]
