"""The ArviZ groups of a fit."""
