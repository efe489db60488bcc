"""The variational family, its coordinates, and SVI of all restarts side by side."""
