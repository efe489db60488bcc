"""Gaussian processes, in scikit-learn and in GPyTorch."""

import numpy as np
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from benchmarks.methods.apart import Scales, apart
from benchmarks.methods.base import Method, Vector
from benchmarks.methods.predictives import NormalMixture, Normals

GPYTORCH_STEPS = 200
# A matrix of that many rows is factorised some hundred times: minutes.
_MAX_ROWS = 2_000


def _sklearn(x: np.ndarray, y: Vector, seed: int) -> NormalMixture:
    scales = Scales.of(x, y)
    kernel = ConstantKernel(1.0) * RBF(np.ones(x.shape[1])) + WhiteKernel(0.1, (1e-8, 10.0))
    gp = GaussianProcessRegressor(kernel, n_restarts_optimizer=1, random_state=seed)
    with apart(seed):
        gp.fit(scales.x(x), scales.y(y))

    @apart(seed)
    def normals(x: np.ndarray) -> Normals:
        mean, sd = gp.predict(x, return_std=True)
        return 1.0, mean[:, None], sd[:, None]

    return scales.predictive(normals)


def _gpytorch(x: np.ndarray, y: Vector, seed: int) -> NormalMixture:
    """The loop of GPyTorch's first regression tutorial, in double precision."""
    scales = Scales.of(x, y)
    with apart(seed):
        import gpytorch
        from gpytorch.distributions import MultivariateNormal

        class Exact(gpytorch.models.ExactGP):  # type: ignore[misc] # GPyTorch has no types
            def __init__(self) -> None:
                super().__init__(rows, targets, likelihood)
                matern = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=rows.shape[1])
                self.mean = gpytorch.means.ConstantMean()
                self.kernel = gpytorch.kernels.ScaleKernel(matern)

            def forward(self, x: torch.Tensor) -> MultivariateNormal:
                return MultivariateNormal(self.mean(x), self.kernel(x))

        rows, targets = torch.as_tensor(scales.x(x)), torch.as_tensor(scales.y(y))
        likelihood = gpytorch.likelihoods.GaussianLikelihood()
        model = Exact().double()
        evidence = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(GPYTORCH_STEPS):
            optimiser.zero_grad()
            (-evidence(model(rows), targets)).backward()
            optimiser.step()
        model.eval()

    @apart(seed)
    def normals(x: np.ndarray) -> Normals:
        with torch.no_grad():
            out = likelihood(model(torch.as_tensor(x)))
        return 1.0, out.mean.numpy()[:, None], out.stddev.numpy()[:, None]

    return scales.predictive(normals)


GAUSSIAN_PROCESSES = (
    Method(
        name="GP (scikit-learn)",
        settings="ARD RBF + white noise, standardised, one restart",
        fit=_sklearn,
        max_rows=_MAX_ROWS,
    ),
    Method(
        name="GP (GPyTorch)",
        settings=f"exact, ARD Matern-5/2, standardised, {GPYTORCH_STEPS} steps of Adam at 0.1",
        fit=_gpytorch,
        needs=("gpytorch",),
        max_rows=_MAX_ROWS,
    ),
)
