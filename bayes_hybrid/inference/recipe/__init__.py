"""The steps of a fit, a file each: each takes the state and the context, and returns the state."""
