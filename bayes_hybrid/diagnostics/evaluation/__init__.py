"""What is computed once for each fit, and the form of a finding."""
