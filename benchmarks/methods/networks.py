"""Neural networks: deep ensemble, mixture density, mean-field in Pyro, and Laplace.

All have one hidden layer of 50 units and standardised data.
"""

import math
from collections.abc import Callable

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.optim import PyroOptim
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.methods.apart import Scales, apart, held_out
from benchmarks.methods.base import Method, Vector
from benchmarks.methods.predictives import NormalMixture, Normals

HIDDEN = 50
BATCH = 100
EPOCHS = 1_000
PATIENCE = 50
SVI_STEPS = 2_000
SVI_DRAWS = 200
LAPLACE_EPOCHS = 1_000

# -- trained by maximum likelihood, with early stopping


class _Networks(torch.nn.Module):
    """E networks side by side, each of whose outputs are a mixture of K Normals."""

    def __init__(
        self, num_networks: int, num_features: int, num_parts: int, bend: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.bend = bend
        layers = []
        for inputs, outputs in ((num_features, HIDDEN), (HIDDEN, 3 * num_parts)):
            # The default start of torch.nn.Linear.
            for shape in ((num_networks, inputs, outputs), (num_networks, 1, outputs)):
                uniform = 2.0 * torch.rand(shape, dtype=torch.float64) - 1.0
                layers.append(torch.nn.Parameter(uniform / math.sqrt(inputs)))
        self.layers = torch.nn.ParameterList(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, means and standard deviations ``[E, N, K]`` at ``x [E, N, D]``."""
        first, bias, second, out_bias = self.layers
        out = self.bend(x @ first + bias) @ second + out_bias
        logits, means, raw = out.chunk(3, dim=-1)
        # The floor of the variance is that of Lakshminarayanan et al.
        return logits.log_softmax(-1), means, (softplus(raw) + 1e-6).sqrt()

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean negative log density of each network, ``[E]``."""
        log_weights, means, sds = self(x)
        terms = log_weights + dist.Normal(means, sds).log_prob(y[..., None])
        loss: Tensor = -terms.logsumexp(-1).mean(-1)
        return loss


def _train(networks: _Networks, x: Tensor, y: Tensor, held: Tensor) -> None:
    """Adam on batches of rows, then back to the epoch with the best held-out loss.

    ``held [E, N]`` masks as many rows of every network.
    """

    def rows(mask: Tensor) -> tuple[Tensor, Tensor]:
        chosen = mask.nonzero()[:, 1].reshape(len(mask), -1)
        return x[chosen], y[chosen]

    (x_held, y_held), (x, y) = rows(held), rows(~held)
    parameters = list(networks.parameters())
    optimiser = torch.optim.Adam(parameters, lr=0.01)
    best = torch.full((len(held),), math.inf, dtype=x.dtype)
    kept = [p.detach().clone() for p in parameters]
    since = 0
    for _ in range(EPOCHS):
        for batch in torch.randperm(x.shape[1]).split(BATCH):
            optimiser.zero_grad()
            networks.loss(x[:, batch], y[:, batch]).sum().backward()
            optimiser.step()
        with torch.no_grad():
            loss = networks.loss(x_held, y_held)
            better = loss < best
            best = torch.where(better, loss, best)
            for keep, now in zip(kept, parameters, strict=True):
                keep[better] = now[better]
        since = 0 if better.any() else since + 1
        if since == PATIENCE:
            break
    with torch.no_grad():
        for keep, now in zip(kept, parameters, strict=True):
            now.copy_(keep)


def _trained(
    num_networks: int, num_parts: int, bend: Callable[[Tensor], Tensor]
) -> Callable[[np.ndarray, Vector, int], NormalMixture]:
    """Fit the equally weighted mixture of all networks."""

    def fit(x: np.ndarray, y: Vector, seed: int) -> NormalMixture:
        scales = Scales.of(x, y)
        with apart(seed):
            networks = _Networks(num_networks, x.shape[1], num_parts, bend)
            held = np.stack([held_out(len(y), seed + i) for i in range(num_networks)])
            rows, targets = torch.as_tensor(scales.x(x)), torch.as_tensor(scales.y(y))
            _train(networks, rows, targets, torch.as_tensor(held))

        def normals(x: np.ndarray) -> Normals:
            with torch.no_grad():
                out = networks(torch.as_tensor(x).expand(num_networks, *x.shape))
            log_weights, means, sds = (part.transpose(0, 1).flatten(1).numpy() for part in out)
            return np.exp(log_weights) / num_networks, means, sds

        return scales.predictive(normals)

    return fit


# -- Bayesian


def _mean_field(x: np.ndarray, y: Vector, seed: int) -> NormalMixture:
    """AutoNormal for Normal weights, as in Pyro's tutorials.

    The output's weights have the variance 1/50, so that the function's does not grow with the
    number of units (Neal 1996).
    """
    scales = Scales.of(x, y)
    rows, targets = torch.as_tensor(scales.x(x)), torch.as_tensor(scales.y(y))
    shapes = {"w1": (x.shape[1], HIDDEN), "b1": (HIDDEN,), "w2": (HIDDEN, 1), "b2": (1,)}
    zero, one = rows.new_zeros(()), rows.new_ones(())
    prior_sds = {"w2": one / math.sqrt(HIDDEN)}

    def program(x: Tensor, y: Tensor) -> None:
        weights = {
            name: pyro.sample(
                name, dist.Normal(zero, prior_sds.get(name, one)).expand(shape).to_event()
            )
            for name, shape in shapes.items()
        }
        noise = pyro.sample("noise", dist.Uniform(zero, 10.0 * one))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(_network(weights, x), noise), obs=y)

    with apart(seed):
        guide = AutoNormal(program)
        svi = SVI(program, guide, PyroOptim(torch.optim.Adam, {"lr": 0.01}), Trace_ELBO())
        for _ in range(SVI_STEPS):
            svi.step(rows, targets)
        with torch.no_grad():
            draws = [guide(rows, targets) for _ in range(SVI_DRAWS)]
    sds = torch.stack([draw["noise"] for draw in draws]).numpy()

    def normals(x: np.ndarray) -> Normals:
        at = torch.as_tensor(x)
        means = torch.stack([_network(draw, at) for draw in draws], dim=1)
        return 1.0 / SVI_DRAWS, means.numpy(), sds

    return scales.predictive(normals)


def _network(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    hidden = torch.tanh(x @ weights["w1"] + weights["b1"])
    return (hidden @ weights["w2"] + weights["b2"])[:, 0]


def _laplace(x: np.ndarray, y: Vector, seed: int) -> NormalMixture:
    """The package's regression example: train, then fit prior and noise by the evidence.

    Laplace redux: Daxberger et al. (2021).
    """
    scales = Scales.of(x, y)
    with apart(seed):
        from laplace import Laplace
        from torch.utils.data import DataLoader, TensorDataset

        rows, targets = torch.as_tensor(scales.x(x)), torch.as_tensor(scales.y(y))[:, None]
        loader = DataLoader(TensorDataset(rows, targets), batch_size=150)
        network = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, 1)
        ).double()
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-2, weight_decay=5e-4)
        for _ in range(LAPLACE_EPOCHS):
            for inputs, outputs in loader:
                optimiser.zero_grad()
                torch.nn.functional.mse_loss(network(inputs), outputs).backward()
                optimiser.step()
        posterior = Laplace(
            network, "regression", subset_of_weights="all", hessian_structure="full"
        )
        posterior.fit(loader)
        prior, noise = (torch.ones(1, dtype=rows.dtype, requires_grad=True) for _ in range(2))
        optimiser = torch.optim.Adam([prior, noise], lr=1e-1)
        for _ in range(LAPLACE_EPOCHS):
            optimiser.zero_grad()
            (-posterior.log_marginal_likelihood(prior.exp(), noise.exp())).backward()
            optimiser.step()

    @apart(seed)
    def normals(x: np.ndarray) -> Normals:
        mean, variance = (part.detach() for part in posterior(torch.as_tensor(x)))
        sd = (variance[:, 0] + noise.detach().exp() ** 2).sqrt()
        return 1.0, mean.numpy(), sd.numpy()

    return scales.predictive(normals)


_STOPPING = f"Adam at 0.01, early stopping within {EPOCHS} epochs"

NETWORKS = (
    Method(
        # Lakshminarayanan, Pritzel and Blundell (2017), without adversarial examples.
        name="deep ensemble",
        settings=f"5 networks of {HIDDEN} ReLU, {_STOPPING}",
        fit=_trained(num_networks=5, num_parts=1, bend=torch.relu),
    ),
    Method(
        # Bishop (1994).
        name="mixture density network",
        settings=f"5 Normals, {HIDDEN} tanh, {_STOPPING}",
        fit=_trained(num_networks=1, num_parts=5, bend=torch.tanh),
    ),
    Method(
        name="mean-field network (Pyro)",
        settings=f"{HIDDEN} tanh, AutoNormal, {SVI_STEPS} steps of Adam at 0.01",
        fit=_mean_field,
    ),
    Method(
        name="Laplace network",
        settings=f"laplace-torch: {HIDDEN} tanh, full Hessian, prior by evidence",
        fit=_laplace,
        needs=("laplace",),
    ),
)
