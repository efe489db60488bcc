"""The scikit-learn estimator: from a table to a posterior that predicts, explains, and is saved."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from bayes_hybrid import checks
from bayes_hybrid.data import (
    is_several,
    numeric_array,
    refuse_far,
    regime_numbers,
    require_outputs,
)
from bayes_hybrid.errors import (
    BayesHybridError,
    DataError,
    DataTypeError,
    FileFormatError,
    OptionError,
)
from bayes_hybrid.gates import GATES, Gate
from bayes_hybrid.inference import (
    FitOptions,
    Plan,
    PlanStage,
    Posterior,
    Progress,
    Rates,
    Refinement,
    Variational,
    WarmStart,
    fit,
    silent,
)
from bayes_hybrid.inference.options import REFINE_CHOICES
from bayes_hybrid.inference.storage import (
    DRAWS,
    MANIFEST,
    decode,
    encode,
    load_fit,
    read_config,
    save_fit,
)
from bayes_hybrid.likelihoods import LIKELIHOODS, Likelihood
from bayes_hybrid.models import HybridMixture, HybridModel, LabelHead, Pathway, PathwayModel
from bayes_hybrid.nn import COMBINATIONS
from bayes_hybrid.priors import LogNormalPrior, Priors
from bayes_hybrid.random import resolve_seed, spawn_seeds

if TYPE_CHECKING:
    import xarray as xr
    from sklearn.utils import Tags

    from bayes_hybrid.diagnostics import Finding

__all__ = ["HybridRegressor", "load"]

FloatArray = NDArray[np.float64]
Setting = TypeVar("Setting")
RandomState = int | np.random.Generator | np.random.RandomState | None

MODELS: Final = ("mixture", *COMBINATIONS)
POSTERIOR_FILE: Final = "posterior.nc"
SAVED_FILES: Final = (MANIFEST, DRAWS, POSTERIOR_FILE)
"""What :meth:`HybridRegressor.save` writes."""

_MODEL_CLASSES = (HybridMixture, PathwayModel, Pathway, LabelHead, Priors, LogNormalPrior)
_FIT_CLASSES = (FitOptions, WarmStart, Variational, Refinement, Plan, PlanStage, Rates)
# Every class whose objects may stand in a saved fit; nothing else is ever built from a file.
SETTING_CLASSES: Final = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (*_MODEL_CLASSES, *_FIT_CLASSES, *GATES.values(), *LIKELIHOODS.values())
    }
)
# What a single pathway has no use for, what a Pathway says of itself, and what fit_options says.
_OF_MIXTURES: Final = ("gate", "experts", "label_head")
_OF_PATHWAYS: Final = ("likelihood", "noise", "num_units", "depth", "smoothing")
_OF_FIT_OPTIONS: Final = (
    "num_restarts",
    "num_candidates",
    "plan",
    "refine",
    "batch_size",
    "device",
    "compile",
)


@final
class HybridRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc] # (ships no types)
    """Bayesian regression for data that are mostly smooth, except when they are not.

    By default a mixture of a Gaussian and a ReLU pathway under a ReLU gate
    (:class:`~bayes_hybrid.models.HybridMixture`)::

        z_n ~ Categorical(pi(x_n));   y_n | z_n = k ~ F_k(location_k(x_n), scale_k(x_n))

    It is fitted by MAP restarts, SVI and, where the budget allows, a short HMC.  Data are
    standardised inside; everything comes back in the units of ``X`` and ``y``.  Settings are
    checked when :meth:`fit` is called, as scikit-learn wants it.

    Args:
        model: ``"mixture"``, or one pathway for all rows: ``"gaussian"``, ``"relu"``,
            ``"linear"``, ``"relu_gates_gaussian"``, ``"gaussian_stabilizes_relu"``.
        gate: of a mixture: ``"relu"``, ``"linear"``, ``"constant"``, ``"threshold"``,
            ``"monotone"``, ``"oblique"``, or one of :mod:`bayes_hybrid.gates`, such as
            ``ThresholdGate(feature="age")``.  With one of the last three the order of ``experts``
            is that along the feature: the first expert belongs to its lowest values.
        likelihood: ``"normal"``, ``"student_t"``, ``"laplace"``, ``"huber"``, ``"pseudo_huber"``,
            or one of :mod:`bayes_hybrid.likelihoods`; a :class:`~bayes_hybrid.models.Pathway`
            among ``experts`` has its own.
        noise: ``"input"``, a noise scale that depends on the features, or ``"constant"``, one per
            regime.
        experts: of a mixture: a pathway kind (as in ``model``) or a
            :class:`~bayes_hybrid.models.Pathway` for each regime, two or more.  A ``Pathway`` has
            its own ``likelihood``, ``noise``, ``num_units``, ``depth`` and ``smoothing``; where
            all are one, these have to be left alone here.
        label_head: of a mixture whose rows have regime labels, how these enter
            (:class:`~bayes_hybrid.models.LabelHead`); ``None`` is its default.
        num_units: hidden units per layer; ``"auto"`` is 32 up to three features, else 50.
        depth: hidden layers.
        smoothing: base of the Gaussian units: ``"bump"``, ``"step"``, ``"relu"``, ``"identity"``.
        num_restarts: restarts R that make up the posterior (ArviZ's chains).
        num_candidates: restarts that are trained, of which the R with the largest ELBO are kept;
            half as many again as R by default.  Many candidates for few restarts make the regimes
            those of the best mode; many restarts average over modes, which predicts better.
        plan: how training goes, ``"default"``, ``"gaussian_first"``, ``"balanced"``, ``"plain"``,
            or a :class:`~bayes_hybrid.inference.plans.Plan`; for gates that collapse.
        refine: ``True`` or ``"always"`` runs HMC after SVI, ``False`` or ``"never"`` does not,
            ``"auto"`` where its budget allows.
        fit_options: everything about fitting at once; then ``num_restarts``,
            ``num_candidates``, ``plan``, ``refine``, ``batch_size``, ``device`` and ``compile``
            have to be left alone.
        priors: :class:`~bayes_hybrid.priors.Priors`, in standardised units.
        batch_size: rows per step; by default all up to 4,096, minibatches of 512 beyond.
        device: ``"auto"`` is the GPU where there is one, else the name of a torch device.
        compile: ``"auto"`` compiles where that should pay, ``"always"``, ``"never"``.
        progress: ``"auto"`` shows a bar on a terminal, ``True`` always, ``False`` never; or a
            function called with stage, steps done and steps at most.
        random_state: integer, generator or ``None`` (a fresh seed, recorded in ``fit_.seed``).

    Attributes:
        fit_: the :class:`~bayes_hybrid.inference.Fit`: posterior, status, stages, seed.
        regimes_: name of each regime, K of them.
        regime_labels_: the labels that came, in the order of the regimes they stand for; empty
            without labels.
        n_features_in_: D.
        feature_names_in_: column names ``[D]``, when ``X`` was a table with text for names.

    Example:
        >>> import numpy as np
        >>> from bayes_hybrid import FitOptions, HybridRegressor, Refinement, Variational, WarmStart
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-2, 2, size=(60, 1))
        >>> y = np.sin(2 * X[:, 0]) + 1.5 * (X[:, 0] > 0.3) + 0.1 * rng.normal(size=60)
        >>> tiny = FitOptions(  # seconds instead of a good fit
        ...     num_restarts=2,
        ...     num_candidates=2,
        ...     warm_start=WarmStart(max_steps=300),
        ...     variational=Variational(
        ...         num_steps=50, kl_weights=(0.0,), num_draws=20
        ...     ),
        ...     refinement=Refinement(mode="never"),
        ...     compile="never",
        ... )
        >>> reg = HybridRegressor(num_units=8, fit_options=tiny, random_state=0).fit(X, y)
        >>> reg.regimes_
        ('gaussian', 'relu')
        >>> reg.predict(X).shape, reg.predict_interval(X, prob=0.9).shape
        ((60,), (60, 2))
        >>> reg.training_regimes().shape
        (60, 2)
        >>> bool(reg.score(X, y) > 0.5)
        True
    """

    def __init__(
        self,
        *,
        model: str = "mixture",
        gate: str | Gate = "relu",
        likelihood: str | Likelihood = "normal",
        noise: str = "input",
        experts: Sequence[str | Pathway] = ("gaussian", "relu"),
        label_head: LabelHead | None = None,
        num_units: int | str = "auto",
        depth: int = 1,
        smoothing: str = "bump",
        num_restarts: int = 16,
        num_candidates: int | None = None,
        plan: str | Plan = "default",
        refine: str | bool = "auto",
        fit_options: FitOptions | None = None,
        priors: Priors | None = None,
        batch_size: int | None = None,
        device: str = "auto",
        compile: str = "auto",
        progress: str | bool | Progress = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.model = model
        self.gate = gate
        self.likelihood = likelihood
        self.noise = noise
        self.experts = experts
        self.label_head = label_head
        self.num_units = num_units
        self.depth = depth
        self.smoothing = smoothing
        self.num_restarts = num_restarts
        self.num_candidates = num_candidates
        self.plan = plan
        self.refine = refine
        self.fit_options = fit_options
        self.priors = priors
        self.batch_size = batch_size
        self.device = device
        self.compile = compile
        self.progress = progress
        self.random_state = random_state

    def __sklearn_is_fitted__(self) -> bool:
        return "fit_" in vars(self)

    def __sklearn_tags__(self) -> "Tags":
        tags: Tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(
        self,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike | pd.Series | pd.DataFrame,
        regime_label: ArrayLike | pd.Series | None = None,
    ) -> Self:
        """Fit the model; a fit that fails or is interrupted leaves the estimator as it was.

        Args:
            X: features ``[N, D]``: numbers or booleans, finite, ``N >= 2``.
            y: targets ``[N]``, finite.  Or Q > 1 outputs ``[N, Q]`` that share the row's regime,
                NaN where one is missing: it is left out of the likelihood.
            regime_label: what is known of the rows' regimes, ``[N]``: text, numbers or booleans,
                and ``None``, NaN or empty text where nothing is.  Labels that are names of the
                model's regimes stand for those; others stand for the regimes in their own order.

        Returns:
            The estimator itself.

        Raises:
            OptionError: a setting cannot be what it is.
            DataError: missing or infinite values, fewer than two rows, shapes that do not fit,
                columns of one name, or other than K different labels; a ``ValueError``, often in
                scikit-learn's own words.
            DataTypeError: text, dates or other objects where numbers belong.
            FitError: every restart became non-finite.
        """
        before = dict(self.__dict__)
        try:
            features, target = training_rows(self, X, y)
            outputs = target.shape[1] if target.ndim > 1 else 1
            model = build_model(self, features.shape[1], outputs, regime_label is not None)
            labels, names = regime_numbers(regime_label, len(features), model.regime_names)
            if names and model.has_thresholds and names != model.regime_names:
                raise OptionError(
                    f"regime_label: the gate has the regimes {list(model.regime_names)} in the "
                    f"order of its feature, which labels such as {names[0]!r} do not say; expected "
                    "names of regimes as labels, the first for the feature's lowest values"
                )
            with reporting(self.progress) as report:
                fitted = fit(
                    model,
                    features,
                    target,
                    seed=resolve_seed(self.random_state),
                    options=build_options(self),
                    feature_names=_feature_names(self),
                    output_names=_output_names(y, target),
                    labels=labels,
                    progress=report,
                )
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        self.fit_ = fitted
        self.regimes_ = fitted.posterior.regime_names
        self.regime_labels_ = names
        return self

    def predict(self, X: ArrayLike | pd.DataFrame) -> FloatArray:
        """Posterior predictive mean, ``E[y | x]``.

        Args:
            X: features ``[N, D]``, the columns of the fit.

        Returns:
            ``[N]``, or ``[N, Q]``, in y's units.

        Raises:
            NotFittedError: before :meth:`fit`; this and the next hold for every method below.
            DataError: other columns than those of the fit, values that are not finite, or so far
                from the training data that float32 overflows.
            DataTypeError: text, dates or other objects where numbers belong.
        """
        return self._posterior().mean(_features(self, X))

    def predict_quantile(self, X: ArrayLike | pd.DataFrame, probs: ArrayLike) -> FloatArray:
        """Quantiles of the posterior predictive, by inverting its mixture's cdf.

        Args:
            X: features ``[N, D]``.
            probs: L probabilities, each strictly between 0 and 1.

        Returns:
            ``[N, L]``, or ``[N, Q, L]``, in y's units.

        Raises:
            OptionError: a probability is not strictly between 0 and 1.
        """
        posterior = self._posterior()
        levels = checks.probabilities(probs)
        return posterior.quantile(_features(self, X), levels)

    def predict_interval(self, X: ArrayLike | pd.DataFrame, prob: float = 0.9) -> FloatArray:
        """Central predictive interval: the quantiles at ``(1 - prob) / 2`` and ``(1 + prob) / 2``.

        Args:
            X: features ``[N, D]``.
            prob: probability inside, strictly between 0 and 1.

        Returns:
            Lower and upper end ``[N, 2]``, or ``[N, Q, 2]``, in y's units.

        Raises:
            OptionError: ``prob`` is not strictly between 0 and 1.
        """
        tail = (1.0 - checks.fraction("prob", prob)) / 2.0
        return self.predict_quantile(X, [tail, 1.0 - tail])

    def score(
        self,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike | pd.Series | pd.DataFrame,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """R², the share of the variance of y that the predicted mean explains.

        Of several outputs it is the mean of their R², each over the rows where it is there.

        Args:
            X: features ``[N, D]``.
            y: targets ``[N]``, or ``[N, Q]``, NaN where missing.
            sample_weight: weights of the rows ``[N]``; equal ones by default.
        """
        from sklearn.metrics import r2_score

        predicted = self.predict(X)
        if predicted.ndim == 1:
            return float(r2_score(y, predicted, sample_weight=sample_weight))
        _, target = _rows(self, X, y)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        parts = []
        for q in range(target.shape[1]):
            there = ~np.isnan(target[:, q])
            if not there.any():
                raise DataError(
                    f"y, output {self.fit_.output_names[q]!r}: every value is missing; expected "
                    "some to score, or score the other outputs by r2_score and predict"
                )
            part = None if weights is None else weights[there]
            parts.append(r2_score(target[there, q], predicted[there, q], sample_weight=part))
        return float(np.mean(parts))

    def log_density(self, X: ArrayLike | pd.DataFrame, y: ArrayLike | pd.Series) -> FloatArray:
        """Log posterior predictive density, ``log mean_s p(y_n | x_n, theta_s)``.

        Args:
            X: features ``[N, D]``.
            y: targets ``[N]``, or ``[N, Q]``, NaN where missing.

        Returns:
            ``[N]`` in nats, of a density in 1 / y's units; of several outputs, the joint density
            of those that are there.
        """
        posterior = self._posterior()
        return posterior.log_density(*_rows(self, X, y))

    def predict_regime(
        self, X: ArrayLike | pd.DataFrame, y: ArrayLike | pd.Series | None = None
    ) -> FloatArray:
        """Regime probabilities: ``p(z = k | x)``, or ``p(z = k | x, y)`` where y was observed.

        Given y, draws count in proportion to how well they explain it, as a new observation
        demands.  The draws know the rows of the fit already, and would count their targets twice:
        ask :meth:`training_regimes` about those.

        Args:
            X: features ``[N, D]``.
            y: targets ``[N]`` of rows that were not fitted, or ``[N, Q]``, NaN where missing.

        Returns:
            ``[N, K]``, in the order of ``regimes_``; rows sum to one.
        """
        posterior = self._posterior()
        if y is None:
            return posterior.regime_probability(_features(self, X))
        return posterior.regime_probability(*_rows(self, X, y))

    def training_regimes(self) -> FloatArray:
        """Regime probabilities of the rows that were fitted, ``p(z_n = k | x_n, y_n, data)``.

        The plain mean of the responsibilities over the posterior's S draws, because these have seen
        the rows' targets::

            1 / S sum_s pi_sk(x_n) p_sk(y_n | x_n) / sum_j pi_sj(x_n) p_sj(y_n | x_n)

        A row with a regime label also has the label's factor.

        Returns:
            ``[N, K]``, in the order of the rows of the fit and of ``regimes_``; rows sum to one.
        """
        from bayes_hybrid.diagnostics.evaluation import row_chunks

        posterior, x, y, labels = self._posterior(), self.fit_.x, self.fit_.y, self.fit_.labels
        per_row = posterior.num_restarts * posterior.num_draws * posterior.num_regimes
        parts = [
            posterior.regime_probability_draws(
                x[rows], y[rows], None if labels is None else labels[rows]
            ).mean(axis=(0, 1))
            for rows in row_chunks(len(x), per_row)
        ]
        return np.concatenate(parts)

    def score_regimes(
        self,
        X: ArrayLike | pd.DataFrame,
        labels: ArrayLike | pd.Series,
        y: ArrayLike | pd.Series | pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """How good :meth:`predict_regime` is on new rows whose regimes are known.

        Args:
            X: features ``[N, D]`` of rows that were not fitted.
            labels: ``[N]``, as for :meth:`fit`; rows without one are left out.  After a fit with
                labels they have to be labels of that fit.
            y: targets, to score ``p(z | x, y)`` instead of ``p(z | x)``.

        Returns:
            A row each for ``log_loss``, ``brier``, ``auc`` and ``ece``, with its value, standard
            error, number of rows and a note, see
            :func:`bayes_hybrid.diagnostics.regime_scores`.

        Raises:
            OptionError: the model has one regime.
            DataError: other labels than those of the fit, or no row with a label.
        """
        from bayes_hybrid.diagnostics import regime_scores

        probs = self.predict_regime(X, y)
        if len(self.regimes_) == 1:
            raise OptionError("score_regimes: the model has one regime, so there is none to tell")
        known = self.regime_labels_ or self.regimes_
        numbers, names = regime_numbers(labels, len(probs), known)
        if numbers is None or (self.regime_labels_ and names != known):
            raise DataError(f"labels: expected those of the fit, {[*known]}, got {[*names]}")
        return regime_scores(probs, numbers, self.regimes_)

    def sample_predictive(
        self, X: ArrayLike | pd.DataFrame, num_draws: int = 1, random_state: RandomState = None
    ) -> FloatArray:
        """Draws from the posterior predictive.

        Args:
            X: features ``[N, D]``.
            num_draws: draws per row.
            random_state: integer, generator or ``None`` for a fresh seed.

        Returns:
            ``[num_draws, N]``, or ``[num_draws, N, Q]``, in y's units; a draw uses one set of
            parameters for all rows.

        Raises:
            OptionError: ``num_draws`` is below 1, or the random state is none.
        """
        posterior = self._posterior()
        draws = checks.positive_int("num_draws", num_draws)
        return posterior.sample(_features(self, X), draws, resolve_seed(random_state))

    def thresholds(self, prob: float = 0.9) -> pd.DataFrame:
        """Where the regimes change, see :func:`bayes_hybrid.diagnostics.threshold_table`.

        Args:
            prob: probability inside the credible intervals, strictly between 0 and 1.

        Returns:
            A row for each boundary between neighbouring regimes: names of the two, feature,
            posterior mean and sd of the threshold, its interval (``lower``, ``upper``), and the
            width of the transition with its own, all in the feature's units.

        Raises:
            OptionError: the gate has no threshold, or ``prob`` is not strictly between 0 and 1.
        """
        from bayes_hybrid.diagnostics import threshold_table

        self._posterior()
        return threshold_table(self.fit_, prob=prob)

    def to_datatree(
        self,
        X_test: ArrayLike | pd.DataFrame | None = None,
        y_test: ArrayLike | pd.Series | None = None,
    ) -> "xr.DataTree":
        """The fit as an ArviZ object, see :func:`bayes_hybrid.diagnostics.to_datatree`.

        Args:
            X_test: held-out features ``[M, D]``.
            y_test: held-out targets ``[M]``.

        Returns:
            Groups posterior, posterior_predictive, log_likelihood, sample_stats, observed_data and
            constant_data; with held-out rows also predictions and predictions_constant_data.

        Raises:
            DataError: held-out targets without features.
        """
        # Here and below: ArviZ takes seconds to import, which predicting should not cost.
        from bayes_hybrid.diagnostics import to_datatree

        self._posterior()
        x, y = _held_out(self, X_test, y_test)
        # The fit itself uses the first four seeds that its own seed spawns.
        seed = spawn_seeds(self.fit_.seed, 5)[-1]
        head = self.fit_.posterior.model.label_head
        return to_datatree(
            self.fit_,
            x_test=x,
            y_test=y,
            seed=seed,
            label_names=[str(label) for label in self.regime_labels_],
            label_weight=None if head is None else head.weight,
        )

    def diagnose(
        self,
        X_test: ArrayLike | pd.DataFrame | None = None,
        y_test: ArrayLike | pd.Series | None = None,
    ) -> "list[Finding]":
        """Findings about the fit, see :func:`bayes_hybrid.diagnostics.diagnose`.

        Args:
            X_test: held-out features ``[M, D]``.
            y_test: held-out targets ``[M]``; with them, coverage is a finding.

        Returns:
            Findings with name, value, threshold, severity and advice.

        Raises:
            DataError: held-out targets without features.
        """
        from bayes_hybrid.diagnostics import diagnose

        self._posterior()
        x, y = _held_out(self, X_test, y_test)
        return diagnose(self.fit_, x_test=x, y_test=y)

    def save(self, path: str | os.PathLike[str], force: bool = False) -> None:
        """Write the fit to a folder: JSON, safetensors and, for ArviZ, ``posterior.nc``; no pickle.

        Args:
            path: the folder to be; it appears whole or not at all.
            force: whether a saved fit may be replaced; never a folder with anything else in it.

        Raises:
            OutputExistsError: the folder exists, and ``force`` is false, it holds no fit, or it
                holds files beside the fit; the message names one.
            OptionError: a setting is an object that cannot be read back, such as your own gate.
            OSError: the folder above is missing or not writable, or the disk is full.
        """
        model = self._posterior().model
        params = self.get_params(deep=False)
        if not isinstance(self.progress, str | bool):
            params["progress"] = "auto"
        if not isinstance(self.random_state, int | np.integer):
            params["random_state"] = None
        config = {
            "model": encode(model, SETTING_CLASSES),
            "params": {name: encode(value, SETTING_CLASSES) for name, value in params.items()},
            "named_features": "feature_names_in_" in vars(self),
            "regime_labels": encode(self.regime_labels_, SETTING_CLASSES),
        }
        # Made in memory: HDF5 does not tell a full disk, it litters standard error.
        tree = bytes(self.to_datatree().to_netcdf(engine="h5netcdf"))
        save_fit(self.fit_, path, config=config, force=force, extras={POSTERIOR_FILE: tree})

    def _posterior(self) -> Posterior:
        check_is_fitted(self)
        return self.fit_.posterior


def load(path: str | os.PathLike[str]) -> HybridRegressor:
    """The estimator that :meth:`HybridRegressor.save` wrote, on the CPU, ready to predict.

    No code from the folder is run.  Predictions are those of the saved estimator.

    Args:
        path: the folder.

    Raises:
        FileFormatError: no fit is there, or it is truncated, foreign, or of a newer format.

    Example:
        >>> load("no_such_folder")
        Traceback (most recent call last):
        bayes_hybrid.errors.FileFormatError: no_such_folder is no folder; expected a folder
            written by save
    """
    config = read_config(path)
    try:
        model = decode(config["model"], SETTING_CLASSES)
        params = {name: decode(value, SETTING_CLASSES) for name, value in config["params"].items()}
        named = config["named_features"]
        estimator = HybridRegressor(**params)
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"{path} has settings that this version does not take: {error}; "
            "load it with the version that wrote it"
        ) from error
    labels = decode(config.get("regime_labels", []), SETTING_CLASSES)
    if not isinstance(model, HybridModel):
        raise FileFormatError(f"{path} holds no model; expected one, got {type(model).__name__}")
    estimator.fit_ = load_fit(path, model)
    estimator.regimes_ = model.regime_names
    estimator.regime_labels_ = labels
    estimator.n_features_in_ = model.num_features
    if named:
        estimator.feature_names_in_ = np.array(estimator.fit_.feature_names, dtype=object)
    return estimator


# From settings to objects


def build_model(
    settings: HybridRegressor, num_features: int, num_outputs: int = 1, labelled: bool = False
) -> HybridModel:
    """The model that the settings describe, for D features and Q outputs."""
    kind = checks.choice("model", settings.model, MODELS)
    priors = _instance("priors", settings.priors, Priors) or Priors()
    if kind != "mixture":
        _refuse_set(settings, _OF_MIXTURES, f"model={kind!r} has no use for it")
        pathway = _pathway(settings, kind, num_features)
        if labelled:
            raise OptionError(
                f"regime_label: model={kind!r} has one regime, of which labels say nothing; "
                "use model='mixture', or leave the labels out"
            )
        return PathwayModel(
            num_features=num_features, pathway=pathway, priors=priors, num_outputs=num_outputs
        )
    label_head = _instance("label_head", settings.label_head, LabelHead) or LabelHead()
    if not labelled:
        _refuse_set(settings, ("label_head",), "no regime_label came")
    return HybridMixture(
        num_features=num_features,
        experts=_experts(settings, num_features),
        gate=_gate(settings).resolved(num_features, _feature_names(settings) or ()),
        priors=priors,
        num_outputs=num_outputs,
        label_head=label_head if labelled else None,
    )


def _gate(settings: HybridRegressor) -> Gate:
    gate = settings.gate
    if isinstance(gate, Gate):
        return gate
    return GATES[checks.choice("gate", gate, tuple(GATES))]()


def _experts(settings: HybridRegressor, num_features: int) -> tuple[Pathway, ...]:
    if isinstance(settings.experts, str) or not isinstance(settings.experts, Sequence):
        raise OptionError(
            "experts: expected a pathway for each regime, such as ('gaussian', 'relu'); "
            f"got {settings.experts!r}"
        )
    if settings.experts and all(isinstance(expert, Pathway) for expert in settings.experts):
        # Built to be checked: a value that cannot be is a mistake whether it is used or not.
        _pathway(settings, "gaussian", num_features)
        _refuse_set(settings, _OF_PATHWAYS, "every expert is a Pathway: set it there")
    return tuple(
        expert if isinstance(expert, Pathway) else _pathway(settings, expert, num_features)
        for expert in settings.experts
    )


def _pathway(settings: HybridRegressor, expert: str, num_features: int) -> Pathway:
    num_units, likelihood = settings.num_units, settings.likelihood
    if isinstance(num_units, str):
        if num_units != "auto":
            raise OptionError(
                f"num_units must be a positive integer or 'auto'; got {num_units!r}, which is text"
                f"{checks.suggestion(num_units, ('auto',))}"
            )
        num_units = 32 if num_features <= 3 else 50
    if not isinstance(likelihood, Likelihood):
        likelihood = LIKELIHOODS[checks.choice("likelihood", likelihood, tuple(LIKELIHOODS))]()
    return Pathway(
        kind=checks.choice("experts", expert, tuple(COMBINATIONS)),
        num_units=checks.positive_int("num_units", num_units),
        depth=settings.depth,
        smoothing=settings.smoothing,
        noise=settings.noise,
        likelihood=likelihood,
    )


def build_options(settings: HybridRegressor) -> FitOptions:
    """The fit options that the settings describe."""
    given = _instance("fit_options", settings.fit_options, FitOptions)
    if given is not None:
        _refuse_set(settings, _OF_FIT_OPTIONS, "fit_options is given: set it there")
        return given
    return FitOptions(
        num_restarts=checks.positive_int("num_restarts", settings.num_restarts),
        num_candidates=settings.num_candidates,
        plan=settings.plan,
        refinement=Refinement(mode=_refine_mode(settings.refine)),
        batch_size=settings.batch_size,
        device=settings.device,
        compile=settings.compile,
    )


def _refine_mode(refine: str | bool) -> str:
    """The setting as :class:`Refinement` says it."""
    if isinstance(refine, bool | np.bool_):
        return "always" if refine else "never"
    if isinstance(refine, str) and refine in REFINE_CHOICES:
        return refine
    raise OptionError(
        "refine must be 'auto', True ('always') or False ('never'); "
        f"got {refine!r}{checks.suggestion(refine, REFINE_CHOICES)}"
    )


def _instance(name: str, value: Setting | None, kind: type[Setting]) -> Setting | None:
    if value is not None and not isinstance(value, kind):
        raise OptionError(f"{name} must be None or {kind.__name__}(...); got {value!r}")
    return value


def _refuse_set(settings: HybridRegressor, names: Sequence[str], reason: str) -> None:
    """Refuse settings that would be ignored."""
    defaults = HybridRegressor().get_params(deep=False)
    for name in names:
        value = getattr(settings, name)
        if not _is_default(value, defaults[name]):
            raise OptionError(
                f"{name}={value!r} would be ignored, because {reason}; "
                f"leave {name} at {defaults[name]!r}"
            )


def _is_default(value: object, default: object) -> bool:
    """Whether they are equal; a list is as good as a tuple."""
    if isinstance(value, list):
        value = tuple(value)
    # An array compared with text gives an array, not an answer.
    return not isinstance(value, np.ndarray) and value == default


@contextmanager
def reporting(progress: str | bool | Progress) -> Iterator[Progress]:
    """Where a fit reports to: a bar on standard error, a function, or nowhere."""
    if callable(progress):
        yield progress
        return
    if not isinstance(progress, bool | np.bool_):
        if not isinstance(progress, str) or progress != "auto":
            raise OptionError(
                f"progress must be 'auto', True, False or a function; got {progress!r}"
                f"{checks.suggestion(progress, ('auto',))}"
            )
        progress = sys.stderr.isatty()
    if not progress:
        yield silent
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fit", total=None)

        def report(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield report


# From tables and arrays to finite numbers


def training_rows(
    estimator: HybridRegressor, X: ArrayLike | pd.DataFrame, y: ArrayLike | pd.Series
) -> tuple[FloatArray, FloatArray]:
    """Features and targets of a fit, as copies: the caller's arrays may change afterwards."""
    # One row has no spread to learn a scale from.
    x, target = _validated(estimator, X, y, ensure_min_samples=2)
    if target.ndim > 1:
        require_outputs(target, _output_names(y, target))
    return np.array(x, order="C"), np.array(target, dtype=np.float64)


def _validated(
    estimator: HybridRegressor,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike | pd.Series | pd.DataFrame,
    **settings: Any,  # noqa: ANN401 (scikit-learn's own)
) -> tuple[FloatArray, FloatArray]:
    """Features ``[N, D]`` and targets ``[N]`` or ``[N, Q]``, by scikit-learn's checks."""
    several = y is not None and is_several(y)
    with _as_data_errors():
        target = None if y is None else numeric_array("y", y, missing=several)
        absent = np.zeros(())
        if several:
            target = np.asarray(target, dtype=np.float64)
            absent = np.isnan(target)
            # scikit-learn has no word for a target that may be missing.
            target = np.where(absent, 0.0, target)
        x, target = validate_data(
            estimator,
            numeric_array("X", X),
            target,
            dtype=np.float64,
            y_numeric=True,
            multi_output=several,
            **settings,
        )
    target = np.asarray(target, dtype=np.float64)
    return x, np.where(absent, np.nan, target) if several else target


def _features(estimator: HybridRegressor, X: ArrayLike | pd.DataFrame) -> FloatArray:
    with _as_data_errors():
        x: FloatArray = validate_data(
            estimator, numeric_array("X", X), dtype=np.float64, reset=False
        )
    refuse_far("X", x, estimator.fit_.posterior.x_scaling)
    return x


def _rows(
    estimator: HybridRegressor, X: ArrayLike | pd.DataFrame, y: ArrayLike | pd.Series
) -> tuple[FloatArray, FloatArray]:
    x, target = _validated(estimator, X, y, reset=False)
    fit = estimator.fit_
    if target.shape[1:] != fit.y.shape[1:]:
        count = len(fit.output_names)
        raise DataError(
            f"y must have {count} outputs, those of the fit; got shape {target.shape}"
            if count > 1
            else f"y must be [N], the one output of the fit; got shape {target.shape}"
        )
    names = _output_names(y, target)
    expected = list(fit.output_names)
    came_with_names = expected != [f"y{q}" for q in range(len(expected))]
    if target.ndim > 1 and names is not None and came_with_names and names != expected:
        raise DataError(
            f"y has other outputs than the fit, or in another order: expected {expected}, "
            f"got {names}; put the columns in that order"
        )
    refuse_far("X", x, fit.posterior.x_scaling)
    refuse_far("y", target, fit.posterior.y_scaling)
    return x, target


@contextmanager
def _as_data_errors() -> Iterator[None]:
    """scikit-learn's errors about data as ours, which they are too, in its own words."""
    try:
        yield
    except BayesHybridError:
        raise
    except ValueError as error:
        raise DataError(str(error)) from error
    except TypeError as error:
        raise DataTypeError(str(error)) from error


def _held_out(
    estimator: HybridRegressor,
    X: ArrayLike | pd.DataFrame | None,
    y: ArrayLike | pd.Series | None,
) -> tuple[FloatArray | None, FloatArray | None]:
    if X is None:
        if y is not None:
            raise DataError("y_test came without X_test; give both, or X_test alone")
        return None, None
    return (_features(estimator, X), None) if y is None else _rows(estimator, X, y)


def _feature_names(estimator: HybridRegressor) -> list[str] | None:
    """The columns' names, once scikit-learn has read them."""
    names = vars(estimator).get("feature_names_in_")
    return None if names is None else [str(name) for name in names]


def _output_names(y: ArrayLike | pd.Series | pd.DataFrame, target: FloatArray) -> list[str] | None:
    """The targets' names, where they came with some."""
    if isinstance(y, pd.DataFrame):
        return [str(name) for name in y.columns]
    if target.ndim > 1:
        return None
    return [str(y.name)] if isinstance(y, pd.Series) and y.name is not None else None
