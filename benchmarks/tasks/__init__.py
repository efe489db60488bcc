"""Prediction tasks, by suite."""
