"""The type of most arrays; docstrings give the shapes."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
