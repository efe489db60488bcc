"""Trees: boosted, forests, a diffusion, and Bayesian additive ones.

Boosted trees stop early on a random fifth of the rows, as the documentation of each shows; with all
their rounds they overfit a small table.
"""

import numpy as np

from benchmarks.methods.apart import Scales, apart, held_out
from benchmarks.methods.base import Method, Vector
from benchmarks.methods.predictives import FromQuantiles, FromSamples, NormalMixture, Normals

FOREST_PROBS = np.linspace(0.05, 0.95, 19)
DIFFUSION_DRAWS = 100
BART_STEPS = 500
# Every fifth draw of two chains predicts.
_BART_THIN = 5
# Rounds without a better held-out score after which boosting stops, as xgboost-distribution's
# README has it.
_PATIENCE = 10


def _ngboost(x: np.ndarray, y: Vector, seed: int) -> NormalMixture:
    """Natural gradient boosting of a Normal (Duan et al. 2020).

    Targets are standardised: fitting stops below a gradient of 1e-4 in their units.
    """
    scales, held = Scales.of(x, y), held_out(len(y), seed)
    with apart(seed):
        from ngboost import NGBRegressor

        model = NGBRegressor(random_state=seed, verbose=False)
        rows, targets = scales.x(x), scales.y(y)
        model.fit(
            rows[~held], targets[~held], rows[held], targets[held], early_stopping_rounds=_PATIENCE
        )

    @apart(seed)
    def normals(x: np.ndarray) -> Normals:
        out = model.pred_dist(x, max_iter=model.best_val_loss_itr + 1).params
        return 1.0, out["loc"][:, None], out["scale"][:, None]

    return scales.predictive(normals)


def _catboost(x: np.ndarray, y: Vector, seed: int) -> NormalMixture:
    """CatBoost's Normal (Malinin et al. 2021).  Its scale starts at one, so y is standardised."""
    scales, held = Scales.of(x, y), held_out(len(y), seed)
    with apart(seed):
        from catboost import CatBoostRegressor

        model = CatBoostRegressor(
            loss_function="RMSEWithUncertainty",
            random_seed=seed,
            verbose=False,
            thread_count=1,
            allow_writing_files=False,
        )
        rows, targets = scales.x(x), scales.y(y)
        test = (rows[held], targets[held])
        model.fit(rows[~held], targets[~held], eval_set=test, early_stopping_rounds=_PATIENCE)

    @apart(seed)
    def normals(x: np.ndarray) -> Normals:
        out = model.predict(x, prediction_type="RMSEWithUncertainty")
        return 1.0, out[:, :1], np.sqrt(out[:, 1:])

    return scales.predictive(normals)


def _xgboost(x: np.ndarray, y: Vector, seed: int) -> NormalMixture:
    """Boosting of a Normal by XGBoost, with NGBoost's gradients (xgboost-distribution).

    Targets are standardised: XGBoost keeps no split that gains less than 1e-6 in their units.
    """
    scales, held = Scales.of(x, y), held_out(len(y), seed)
    with apart(seed):
        from xgboost_distribution import XGBDistribution

        model = XGBDistribution(
            distribution="normal",
            n_estimators=500,
            early_stopping_rounds=_PATIENCE,
            random_state=seed,
            n_jobs=1,
        )
        rows, targets = scales.x(x), scales.y(y)
        test = [(rows[held], targets[held])]
        model.fit(rows[~held], targets[~held], eval_set=test, verbose=False)

    @apart(seed)
    def normals(x: np.ndarray) -> Normals:
        out = model.predict(x)
        return 1.0, out.loc[:, None].astype(float), out.scale[:, None].astype(float)

    return scales.predictive(normals)


def _forest(x: np.ndarray, y: Vector, seed: int) -> FromQuantiles:
    """Quantile regression forest (Meinshausen 2006).

    Leaves hold five rows, as those of R's randomForest do for regression, and all of them count, as
    in the paper.  With the package's default, leaves of one row, a small table's outer quantiles
    tie.
    """
    with apart(seed):
        from quantile_forest import RandomForestQuantileRegressor

        forest = RandomForestQuantileRegressor(
            random_state=seed, min_samples_leaf=5, max_samples_leaf=None
        ).fit(x, y)

    @apart(seed)
    def quantiles(x: np.ndarray) -> np.ndarray:
        return np.asarray(forest.predict(x, quantiles=FOREST_PROBS.tolist()))

    # A hundred times that of a uniform over one standard deviation of y.
    return FromQuantiles(quantiles, FOREST_PROBS, max_density=100.0 / y.std())


def _treeffuser(x: np.ndarray, y: Vector, seed: int) -> FromSamples:
    """Diffusion with boosted trees for its score (Beltran-Velez et al. 2024)."""
    with apart(seed):
        from treeffuser import Treeffuser

        model = Treeffuser(seed=seed, n_jobs=1).fit(x, y)

    @apart(seed)
    def samples(x: np.ndarray) -> np.ndarray:
        # All at once: each batch of draws starts from the same seed.
        draws = model.sample(x, DIFFUSION_DRAWS, n_parallel=DIFFUSION_DRAWS, seed=seed)
        return np.asarray(draws).T

    return FromSamples(samples)


def _bart(x: np.ndarray, y: Vector, seed: int) -> NormalMixture:
    """Bayesian additive regression trees with Normal errors (Quiroga et al. 2022)."""
    scales = Scales.of(x, y)
    with apart(seed):
        import pymc
        import pymc_bart

        with pymc.Model() as model:
            rows = pymc.Data("x", scales.x(x))
            mu = pymc_bart.BART("mu", rows, scales.y(y), m=50)
            sd = pymc.HalfNormal("sd", 1.0)
            pymc.Normal("y", mu, sd, observed=scales.y(y), shape=mu.shape)
            draws = pymc.sample(
                draws=BART_STEPS,
                tune=BART_STEPS,
                chains=2,
                cores=1,
                random_seed=seed,
                progressbar=False,
                compute_convergence_checks=False,
            ).sel(draw=slice(None, None, _BART_THIN))

    @apart(seed)
    def normals(x: np.ndarray) -> Normals:
        with model:
            pymc.set_data({"x": x})
            out = pymc.sample_posterior_predictive(
                draws, var_names=["mu"], predictions=True, random_seed=seed, progressbar=False
            )
        means = out.predictions["mu"].to_numpy().reshape(-1, len(x)).T
        sds = draws.posterior["sd"].to_numpy().reshape(1, -1)
        return 1.0 / sds.size, means, sds

    return scales.predictive(normals)


TREES = (
    Method(
        name="NGBoost",
        settings="Normal, standardised, early stopping",
        fit=_ngboost,
        needs=("ngboost",),
    ),
    Method(
        name="CatBoost",
        settings="RMSEWithUncertainty, standardised, early stopping",
        fit=_catboost,
        needs=("catboost",),
    ),
    Method(
        name="XGBoost",
        settings="xgboost-distribution: Normal, standardised, at most 500 rounds, early stopping",
        fit=_xgboost,
        needs=("xgboost_distribution",),
    ),
    Method(
        name="quantile forest",
        settings="leaves of 5 rows, all used; 19 quantiles, exponential tails",
        fit=_forest,
        needs=("quantile_forest",),
    ),
    Method(
        name="Treeffuser",
        settings=f"defaults; kernel density of {DIFFUSION_DRAWS} draws",
        fit=_treeffuser,
        needs=("treeffuser",),
        max_rows=2_000,
    ),
    Method(
        name="BART",
        settings=f"pymc-bart: 50 trees, Normal errors, 2 chains of {BART_STEPS} + {BART_STEPS}",
        fit=_bart,
        needs=("pymc_bart",),
        max_rows=1_000,
    ),
)
