"""From a table to predictions, regimes, findings and a picture, in ten lines."""

import os

from bayes_hybrid import FitOptions, HybridRegressor
from bayes_hybrid.data import load_motorcycle
from bayes_hybrid.plots import plot_overview

# With BAYES_HYBRID_QUICK=1 the tests run this file in seconds, with next to no training.
QUICK = FitOptions.quick()
FULL = FitOptions(num_restarts=12)
options = QUICK if os.environ.get("BAYES_HYBRID_QUICK") == "1" else FULL

table = load_motorcycle()
X, y = table[["times"]], table["accel"]
reg = HybridRegressor(noise="constant", random_state=0, fit_options=options).fit(X, y)

low, high = reg.predict_interval(X, prob=0.9).T
print(f"90% intervals hold {((low <= y) & (y <= high)).mean():.0%} of the training rows")
for name, share in zip(reg.regimes_, reg.training_regimes().mean(axis=0), strict=True):
    print(f"the {name} regime explains {share:.0%} of the rows")
for finding in reg.diagnose():
    print(f"{finding.severity:8} {finding.name} = {finding.value:.3g}  {finding.advice}")
plot_overview(reg.fit_).savefig("motorcycle.png")
