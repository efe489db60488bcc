"""A model's log joint as a recorded tensor graph, evaluated on the training rows."""
