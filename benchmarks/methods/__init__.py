"""Ways to fit a table: the package's own, and its peers."""
