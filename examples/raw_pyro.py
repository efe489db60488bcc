"""The hybrid mixture under Pyro's own tools: SVI, enumeration, Predictive, infer_discrete, NUTS.

``HybridRegressor`` is the short way to a fit.  This is for people who know Pyro and want the model:
to put it into a larger program, to try another guide, or to see that nothing is hidden.

Run it with ``python examples/raw_pyro.py``; it takes a few minutes.
"""

import os
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.infer import (
    ELBO,
    MCMC,
    NUTS,
    SVI,
    Predictive,
    Trace_ELBO,
    TraceEnum_ELBO,
    infer_discrete,
)
from pyro.infer.autoguide import AutoNormal, init_to_sample
from pyro.optim import ClippedAdam

from bayes_hybrid.data import Standardizer, load_motorcycle
from bayes_hybrid.models import HybridMixture, Pathway

QUICK = os.environ.get("BAYES_HYBRID_QUICK") == "1"
NUM_STEPS = 5 if QUICK else 2_000
NUM_DRAWS = 5 if QUICK else 200
NUM_NUTS = 2 if QUICK else 30
NUM_UNITS = 4 if QUICK else 16

pyro.set_rng_seed(0)

# The model lives in standardised units: its priors say "one standard deviation of y", not "one g".
table = load_motorcycle()
x_scaling = Standardizer.fit(table[["times"]].to_numpy())
y_scaling = Standardizer.fit(table["accel"].to_numpy())
x = torch.as_tensor(x_scaling.transform(table[["times"]].to_numpy()), dtype=torch.float32)
y = torch.as_tensor(y_scaling.transform(table["accel"].to_numpy()), dtype=torch.float32)

# The object holds settings only, no parameters: all of those are Pyro sample sites.
model = HybridMixture(
    num_features=1,
    experts=(
        Pathway(kind="gaussian", num_units=NUM_UNITS),
        Pathway(kind="relu", num_units=NUM_UNITS),
    ),
)


def train(program: Callable[..., Any], guide: AutoNormal, elbo: ELBO) -> None:
    """Fit a guide with Pyro's own loop and say how far it came."""
    svi = SVI(program, guide, ClippedAdam({"lr": 0.01}), loss=elbo)
    losses = [svi.step(x, y) for _ in range(NUM_STEPS)]
    tail = losses[-100:]
    print(
        f"  neg_elbo: {losses[0]:.0f} at the start, {sum(tail) / len(tail):.0f} at the end (nats)"
    )


# 1. The marginal reading: z is summed out exactly, so plain Trace_ELBO will do.
#
# A mean-field guide over *all* weights, as AutoNormal is, is a trap.  Hidden units are nearly
# exchangeable and their read-out weights strongly correlated; a guide that must treat weights as
# independent pays so much KL for each that the cheapest solution is to give up most of the
# function: on the step data of the benchmarks it loses about 1.4 nats a row, and its intervals
# cover everything.  The loss still falls smoothly, so it does not show.  It is here because it is
# what one tries first.  HybridRegressor uses a full-rank guide over read-out weights and scales,
# restarts, and a short HMC instead.  docs/how-do-i-use-the-raw-pyro-model.md says more.
print("SVI on model.marginal")
# A scope keeps the parameters of one guide from becoming the start of the next.
with pyro.get_param_store().scope() as marginal_params:
    # The default start, the prior's median, switches nearly every unit off.
    guide = AutoNormal(model.marginal, init_loc_fn=init_to_sample)
    train(model.marginal, guide, Trace_ELBO())

    # 2. Draws of y.  Use the marginal model here: under Predictive, the enumerated one draws z
    #    from the gate's p(z|x), which knows nothing of an observed y.
    drawn = Predictive(model.marginal, guide=guide, num_samples=NUM_DRAWS)(x)["y"]
    low, high = torch.quantile(drawn, torch.tensor([0.05, 0.95]), dim=0)
    covered = ((y >= low) & (y <= high)).float().mean()
    width = float((high - low).mean()) * float(y_scaling.scale)
    print(
        f"  90% intervals: {covered:.0%} of the training rows inside, {width:.0f} g wide on average"
    )

# 3. The enumerated reading: the same joint with an explicit site z, summed out by Pyro.
#    The guide must not see z.
print("SVI on model.enumerated")
with pyro.get_param_store().scope():
    guide = AutoNormal(poutine.block(model.enumerated, hide=["z"]), init_loc_fn=init_to_sample)
    train(model.enumerated, guide, TraceEnum_ELBO(max_plate_nesting=1))

    # 4. The regime of each row, given its y: infer_discrete draws z from p(z | x, y, theta).
    agreed = []
    for _ in range(NUM_DRAWS):
        theta = poutine.trace(guide).get_trace(x, y)
        replayed = poutine.replay(model.enumerated, trace=theta)
        sampler = infer_discrete(replayed, temperature=1, first_available_dim=-2)
        agreed.append(poutine.trace(sampler).get_trace(x, y).nodes["z"]["value"])
    share = torch.stack(agreed).float().mean(dim=0)  # the ReLU regime is number 1
    undecided = ((share > 0.1) & (share < 0.9)).float().mean()
    print(f"  p(z = relu | x, y) between 10% and 90%: {undecided:.0%} of the rows")

# 5. NUTS on the marginal model: the long run against which a guide can be judged.  A real one
#    takes thousands of iterations and several chains; this one shows that it runs.
print("NUTS on model.marginal")
kernel = NUTS(model.marginal, init_strategy=init_to_sample, max_tree_depth=2 if QUICK else 5)
mcmc = MCMC(kernel, num_samples=NUM_NUTS, warmup_steps=NUM_NUTS, disable_progbar=True)
mcmc.run(x, y)
noise = mcmc.get_samples()["noise"] * float(y_scaling.scale)
print(f"  {len(noise)} draws; shared noise scale so far {noise.mean():.0f} g: too few to be read")
