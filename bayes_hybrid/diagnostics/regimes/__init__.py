"""Where regimes are, how sure that is, and what sets them apart."""
