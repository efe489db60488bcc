"""Peers: each at its documented default, or at the few settings that its entry names.

`pip install bayes-hybrid[peers]` brings all but Treeffuser; NGBoost holds scikit-learn below 1.7.
Treeffuser 0.2 asks for NumPy 1 and scikit-learn 1.5, which the package does not take.  It works
with later ones when it is installed with `--no-deps`, beside lightgbm, einops, jaxtyping and
ml_collections.
"""

from benchmarks.methods.base import Method
from benchmarks.methods.breaks import BREAKS
from benchmarks.methods.gaussian_processes import GAUSSIAN_PROCESSES
from benchmarks.methods.networks import NETWORKS
from benchmarks.methods.trees import TREES

PEERS: tuple[Method, ...] = (*GAUSSIAN_PROCESSES, *TREES, *NETWORKS, *BREAKS)
