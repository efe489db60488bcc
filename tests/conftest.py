"""What every test has in common."""

import torch

# Oversubscribed threads make a step many times slower, and they change the order of sums.
torch.set_num_threads(1)
