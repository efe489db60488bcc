"""How well a fit predicts, and whether it says so rightly."""
