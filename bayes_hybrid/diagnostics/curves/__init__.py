"""Along one feature: effects, contributions, partial dependence."""
