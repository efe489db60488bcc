"""The scikit-learn estimator: from a table to a posterior that predicts, explains, and is saved."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self, final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from bayes_hybrid import checks
from bayes_hybrid.data import HeldOut, regime_numbers
from bayes_hybrid.errors import DataError, OptionError
from bayes_hybrid.estimator.build import build_model, build_options, settings_of
from bayes_hybrid.estimator.nested import NestedSettings, refusing_moved
from bayes_hybrid.estimator.progress import reporting
from bayes_hybrid.estimator.rows import (
    FloatArray,
    feature_names,
    feature_rows,
    held_out_or_saved,
    held_out_rows,
    located,
    log_scaling,
    output_names,
    row_weights,
    scored_rows,
    target_rows,
    training_rows,
)
from bayes_hybrid.estimator.saved import write_saved
from bayes_hybrid.gates import Gate
from bayes_hybrid.inference import FitOptions, Posterior, Progress, fit
from bayes_hybrid.inference.readings import reading_names
from bayes_hybrid.likelihoods import Likelihood
from bayes_hybrid.models import LabelHead, Pathway
from bayes_hybrid.priors import Priors
from bayes_hybrid.random import resolve_seed, stream_seed

if TYPE_CHECKING:
    import xarray as xr
    from sklearn.utils import Tags

    from bayes_hybrid.diagnostics import (
        BoundaryPosterior,
        EffectCurve,
        Finding,
        PartialDependence,
        RegimePosterior,
    )
    from bayes_hybrid.diagnostics.curves.effects import Quantity
    from bayes_hybrid.diagnostics.curves.lines import Grid
    from bayes_hybrid.estimator.summary import Summary

__all__ = ["HybridRegressor"]

# What vanishes is zero, whatever the caller lets NumPy raise.
_vanishing = np.errstate(under="ignore")

RandomState = int | np.random.Generator | np.random.RandomState | None


@final
class HybridRegressor(RegressorMixin, NestedSettings):  # type: ignore[misc] # (ships no types)
    """Bayesian regression for data that are mostly smooth, except when they are not.

    By default a mixture of a Gaussian and a ReLU pathway under a ReLU gate
    (:class:`~bayes_hybrid.models.HybridMixture`)::

        z_n ~ Categorical(pi(x_n));   y_n | z_n = k ~ F_k(location_k(x_n), scale_k(x_n))

    It is fitted by MAP restarts, SVI and, where the budget allows, a short HMC.  Data are
    standardised inside; everything comes back in the units of ``X`` and ``y``.  Settings are
    checked when :meth:`fit` is called, as scikit-learn wants it.  Fields of a settings object have
    names of their own, in ``set_params(fit_options__num_restarts=8)`` and in a grid search.

    Args:
        model: ``"mixture"``, or one pathway for all rows: ``"gaussian"``, ``"relu"``,
            ``"linear_mix"`` (both kinds of unit in each layer, mixed linearly),
            ``"relu_gates_gaussian"``, ``"gaussian_stabilizes_relu"``; or a curve, see ``experts``;
            or a :class:`~bayes_hybrid.models.Pathway`, as ``Pathway("relu", num_units=64)``.
        gate: of a mixture: ``"relu"``, ``"linear"``, ``"constant"``, ``"threshold"``,
            ``"monotone"``, ``"oblique"``, or one of :mod:`bayes_hybrid.gates`, such as
            ``ThresholdGate(feature="age")``.  With one of the last three the order of ``experts``
            is that along the feature: the first expert belongs to its lowest values.
        likelihood: ``"normal"``, ``"student_t"``, ``"laplace"``, ``"huber"``, ``"pseudo_huber"``,
            ``"contaminated_normal"``; of counts ``"poisson"``, ``"negative_binomial"``, of 0 and 1
            ``"bernoulli"``, of positive numbers ``"gamma"``, ``"log_normal"``, of shares
            ``"beta"``; or one of :mod:`bayes_hybrid.likelihoods`.  It applies to pathways given by
            a word; a :class:`~bayes_hybrid.models.Pathway` has its own.
        noise: ``"input"``, a noise scale that depends on the features, or ``"constant"``, one per
            regime; applies likewise.
        experts: of a mixture: a pathway kind (as in ``model``) or a
            :class:`~bayes_hybrid.models.Pathway` for each regime, two or more.  Where all are a
            ``Pathway``, leave ``likelihood`` and ``noise`` alone here.  Or a curve of few
            coefficients: ``"constant"``, ``"line"``, ``"polynomial"`` (a parabola), or a
            :class:`~bayes_hybrid.models.Polynomial` of another degree; their noise is constant in
            each regime unless they say otherwise, as in ``Line(noise="input")``.
        joined: of curves under a threshold gate: whether each begins where the one
            before it ends, so that the location has a kink and no jump; or that for each threshold.
        label_head: of a mixture whose rows have regime labels, how these enter
            (:class:`~bayes_hybrid.models.LabelHead`); ``None`` is its default.
        fit_options: how it is fitted: restarts, plan, sampler, device and more;
            ``FitOptions(sampler=None)`` is SVI without HMC, ``HMC(budget=None)`` refines a table of
            any size.  ``None`` is its default.
        priors: :class:`~bayes_hybrid.priors.Priors`, in standardised units.
        progress: ``"auto"`` shows a bar on a terminal, ``True`` always, ``False`` never; or a
            function called with stage, steps done and steps at most.
        missing: ``"impute"`` puts the training median in the place of a missing cell of a table's
            feature and adds an indicator; ``"refuse"`` takes none.  Arrays take none in any case.
        log: names or positions of columns whose logarithm the model reads.  Their numbers have to
            be above zero; thresholds, curves and tables stay in the units of the column.
        random_state: integer, generator or ``None`` (a fresh seed, recorded in ``fit_.seed``).

    Attributes:
        fit_: the :class:`~bayes_hybrid.inference.Fit`: posterior, status, stages, seed.
        regimes_: name of each regime, K of them.
        regime_labels_: the labels that came, in the order of the regimes they stand for; empty
            without labels.
        held_out_: the :class:`~bayes_hybrid.data.HeldOut` rows that a loaded fit was saved with;
            ``None`` after :meth:`fit`.
        encoding_: the :class:`~bayes_hybrid.data.Encoding` of a table with text, dates, missing
            cells or columns in ``log``: its ``names`` are the D features of the fit, and
            ``words()`` says what each column became; ``None`` where all stayed as they were.
        n_features_in_: number of columns of ``X``.
        feature_names_in_: their names, when ``X`` was a table with text for names.

    Example:
        >>> import numpy as np
        >>> from bayes_hybrid import FitOptions, HybridRegressor, Pathway
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-2, 2, size=(60, 1))
        >>> y = np.sin(2 * X[:, 0]) + 1.5 * (X[:, 0] > 0.3) + 0.1 * rng.normal(size=60)
        >>> experts = Pathway("gaussian", num_units=8), Pathway("relu", num_units=8)
        >>> quick = FitOptions.quick()  # seconds instead of a good fit
        >>> reg = HybridRegressor(experts=experts, fit_options=quick, random_state=0).fit(X, y)
        >>> reg.regimes_
        ('A', 'B')
        >>> reg.predict(X).shape, reg.predict_interval(X, prob=0.9).shape
        ((60,), (60, 2))
        >>> reg.training_regimes().shape
        (60, 2)
        >>> bool(reg.score(X, y) > 0.5)
        True
        >>> reg.effect(0, of="expert", grid=5).mean.shape
        (5, 2)
    """

    @refusing_moved
    def __init__(
        self,
        *,
        model: str | Pathway = "mixture",
        gate: str | Gate = "relu",
        likelihood: str | Likelihood = "normal",
        noise: str = "input",
        experts: Sequence[str | Pathway] = ("gaussian", "relu"),
        joined: bool | Sequence[bool] = False,
        label_head: LabelHead | None = None,
        fit_options: FitOptions | None = None,
        priors: Priors | None = None,
        progress: str | bool | Progress = "auto",
        missing: str = "impute",
        log: Sequence[int | str] = (),
        random_state: RandomState = None,
    ) -> None:
        self.model = model
        self.gate = gate
        self.likelihood = likelihood
        self.noise = noise
        self.experts = experts
        self.joined = joined
        self.label_head = label_head
        self.fit_options = fit_options
        self.priors = priors
        self.progress = progress
        self.missing = missing
        self.log = log
        self.random_state = random_state

    def __sklearn_is_fitted__(self) -> bool:
        return "fit_" in vars(self)

    def __sklearn_tags__(self) -> "Tags":
        tags: Tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @_vanishing
    def fit(
        self,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike | pd.Series | pd.DataFrame,
        regime_label: ArrayLike | pd.Series | None = None,
    ) -> Self:
        """Fit the model; a fit that fails or is interrupted leaves the estimator as it was.

        Args:
            X: features ``[N, D]``: numbers or booleans, finite, 1e75 at most, ``N >= 2``.  Masked
                entries, here and below, are missing.  The columns of a table may also be text of
                words, categories or dates, and have missing cells
                (:func:`~bayes_hybrid.data.learned_encoding`); D counts what they became.
                Tables of Polars, PyArrow and others that speak Arrow are taken like those of
                pandas, here and below.
            y: targets ``[N]``, likewise.  Or Q > 1 outputs ``[N, Q]`` that share the row's regime,
                NaN where one is missing: it is left out of the likelihood.  A target that is
                constant up to rounding is not trained on, but predicted as it is.
            regime_label: what is known of the rows' regimes, ``[N]``: text, numbers or booleans,
                and ``None``, NaN or empty text where nothing is.  Labels that are names of the
                model's regimes stand for those; others stand for the regimes in their own order.

        Returns:
            The estimator itself.

        Raises:
            OptionError: a setting cannot be what it is.
            DataError: missing or infinite values, values beyond 1e75 or columns that vary by less
                than 1e-75, fewer than two rows, shapes that do not fit, columns of one name, or
                other than K different labels; a ``ValueError``, often in scikit-learn's own words.
            DataTypeError: objects that are neither numbers, words nor dates; in an array, all that
                are no numbers.
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
                    labels=labels,
                    scalings=(log_scaling(self, features), None),
                    progress=report,
                ).named(feature_names(self), output_names(y, target))
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        self.fit_ = fitted
        self.held_out_: HeldOut | None = None
        self.regimes_ = reading_names(model)
        self.regime_labels_ = names
        return self

    @_vanishing
    def predict(self, X: ArrayLike | pd.DataFrame) -> FloatArray:
        """Posterior predictive mean, ``E[y | x]``.

        Args:
            X: features ``[N, D]``, the columns of the fit.

        Returns:
            ``[N]``, or ``[N, Q]``, in y's units.

        Raises:
            NotFittedError: before :meth:`fit`; this and the next hold for every method below.
            DataError: other columns than those of the fit, values that are not finite, or so far
                from the training data that float32 overflows; a level that the fit has not seen, or
                a missing cell in a column that had none.
            DataTypeError: objects of another kind than in the fit.
        """
        return self._posterior().predictive.mean(feature_rows(self, X))

    @_vanishing
    def predict_quantile(self, X: ArrayLike | pd.DataFrame, probs: ArrayLike) -> FloatArray:
        """Quantiles of the posterior predictive, by inverting its mixture's cdf.

        Args:
            X: features ``[N, D]``.
            probs: L probabilities, each from 1e-12 to 1 - 1e-12.

        Returns:
            ``[N, L]``, or ``[N, Q, L]``, in y's units.

        Raises:
            OptionError: a probability is not between 1e-12 and 1 - 1e-12.
        """
        posterior = self._posterior()
        levels = checks.probabilities(probs)
        return posterior.predictive.quantile(feature_rows(self, X), levels)

    @_vanishing
    def predict_interval(self, X: ArrayLike | pd.DataFrame, prob: float = 0.9) -> FloatArray:
        """Central predictive interval: the quantiles at ``(1 - prob) / 2`` and ``(1 + prob) / 2``.

        Args:
            X: features ``[N, D]``.
            prob: probability inside, above 0 and 1 - 2e-12 at most.

        Returns:
            Lower and upper end ``[N, 2]``, or ``[N, Q, 2]``, in y's units.

        Raises:
            OptionError: ``prob`` is not above 0 and 1 - 2e-12 at most.
        """
        return self.predict_quantile(X, checks.central("prob", prob))

    @_vanishing
    def score(
        self,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike | pd.Series | pd.DataFrame,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """R², the share of the variance of y that the predicted mean explains.

        With several outputs it is the mean of their R², each over the rows that have the output.
        Censored rows are left out: their y is a bound.

        Args:
            X: features ``[N, D]``.
            y: targets ``[N]``, or ``[N, Q]``, NaN where missing.
            sample_weight: weights of the rows ``[N]``, not negative; equal ones by default.
        """
        from sklearn.metrics import r2_score

        from bayes_hybrid.diagnostics.evaluation.censoring import only_values

        posterior = self._posterior()
        x, target = scored_rows(self, X, y)
        weights = row_weights(sample_weight, len(x))
        predicted = posterior.predictive.mean(x).reshape(len(x), -1)
        known = only_values(posterior, x, target).reshape(predicted.shape)
        parts = []
        for q, name in enumerate(self.fit_.output_names):
            there = ~np.isnan(known[:, q])
            if not there.any():
                raise DataError(
                    f"y, output {name!r}: every value is missing or censored; expected some to "
                    "score, or score the other outputs by r2_score and predict"
                )
            part = None if weights is None else weights[there]
            parts.append(r2_score(known[there, q], predicted[there, q], sample_weight=part))
        return float(np.mean(parts))

    @_vanishing
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
        return posterior.predictive.log_density(*target_rows(self, X, y))

    @_vanishing
    def predict_regime(
        self, X: ArrayLike | pd.DataFrame, y: ArrayLike | pd.Series | None = None
    ) -> FloatArray:
        """Regime probabilities: ``p(z = k | x)``, or ``p(z = k | x, y)`` where y was observed.

        Here and wherever regimes are read, the draws are those of ``fit_.for_regimes``.
        Given y, draws count in proportion to how well they explain it, as a new observation
        demands.  The draws know the rows of the fit already, and would count their targets twice:
        ask :meth:`training_regimes` about those.

        Args:
            X: features ``[N, D]``.
            y: targets ``[N]`` of rows that were not fitted, or ``[N, Q]``, NaN where missing.

        Returns:
            ``[N, K]``, in the order of ``regimes_``; rows sum to one.
        """
        self._posterior()
        posterior = self.fit_.for_regimes.posterior
        if y is None:
            return posterior.predictive.regime_probability(feature_rows(self, X))
        return posterior.predictive.regime_probability(*target_rows(self, X, y))

    @_vanishing
    def training_regimes(self) -> FloatArray:
        """Regime probabilities of the rows that were fitted, ``p(z_n = k | x_n, y_n, data)``.

        The mean of the responsibilities over the posterior's draws, each with the weight ``w_s`` of
        its restart alone, because the draws have seen the rows' targets::

            sum_s w_s pi_sk(x_n) p_sk(y_n | x_n) / sum_j pi_sj(x_n) p_sj(y_n | x_n)

        A row with a regime label also has the label's factor.

        Returns:
            ``[N, K]``, in the order of the rows of the fit and of ``regimes_``; rows sum to one.
        """
        from bayes_hybrid.diagnostics.evaluation.evaluation import fitted_regimes, row_chunks

        self._posterior()
        fit = self.fit_.for_regimes
        posterior = fit.posterior
        per_row = posterior.num_restarts * posterior.num_draws * posterior.num_regimes
        return np.concatenate(
            [fitted_regimes(fit, rows) for rows in row_chunks(len(fit.x), per_row)]
        )

    @_vanishing
    def readings(self) -> "pd.DataFrame":
        """How the rows can be grouped into regimes, and the weight of each way.

        See :func:`bayes_hybrid.diagnostics.readings_frame`.  Regimes are read from the leading one,
        the first line; predictions are those of all.

        Returns:
            A row for each reading: ``reading``, ``weight``, ``elpd``, ``restarts``, and of each
            regime ``usage[k]``, ``where[k]``, such as "times < 14.0, quiet", and ``expert[k]``.
        """
        from bayes_hybrid.diagnostics import readings_frame

        self._posterior()
        return readings_frame(self.fit_)

    @_vanishing
    def regime_posterior(
        self,
        X: ArrayLike | pd.DataFrame | None = None,
        y: ArrayLike | pd.Series | pd.DataFrame | None = None,
        prob: float = 0.9,
        reading: int = 0,
    ) -> "RegimePosterior":
        """The regime of each row, how sure that is, and why not surer.

        See :func:`bayes_hybrid.diagnostics.regimes.regime_posterior`.

        Args:
            X: features of new rows ``[N, D]``; without them, the rows of the fit.
            y: targets of the new rows ``[N]``, or ``[N, Q]``, NaN where missing.
            prob: probability inside the credible bands, strictly between 0 and 1.
            reading: which of :meth:`readings`, 0 for the leading one.

        Returns:
            Probabilities as of :meth:`predict_regime` or :meth:`training_regimes`, with bands, the
            most probable regime, and its entropy split into ambiguity and gate uncertainty;
            ``to_frame(X.index)`` makes a table of it.

        Raises:
            DataError: targets without features.
        """
        from bayes_hybrid.diagnostics import regime_posterior

        self._posterior()
        if X is None:
            # Which refuses y alone.
            return regime_posterior(self.fit_, None, y, prob=prob, reading=reading)
        rows, target = (feature_rows(self, X), None) if y is None else target_rows(self, X, y)
        return regime_posterior(self.fit_, rows, target, prob=prob, reading=reading)

    @_vanishing
    def boundaries(
        self,
        feature: int | str = 0,
        at: ArrayLike | Mapping[str, float] | None = None,
        prob: float = 0.9,
        of: str = "gate",
    ) -> "BoundaryPosterior":
        """Where the most probable regime changes along a feature, whatever the gate.

        See :func:`bayes_hybrid.diagnostics.regimes.boundaries`.

        Args:
            feature: its position among the features of the fit, or its name, or that of a column
                of ``X`` that became one feature.
            at: where the other features are held, D numbers, or names and numbers (or dates); at
                their medians where nothing is said.
            prob: probability inside the intervals, strictly between 0 and 1.
            of: ``"gate"``, where p(z | x) changes, or ``"rows"``, between which fitted rows
                p(z | x, y) does; the latter is for one feature and sudden changes.

        Returns:
            Each boundary with its interval, its draws and the probability that it is there;
            ``to_frame()`` makes a table of it.

        Raises:
            OptionError: the model has one regime, or no such feature.
        """
        from bayes_hybrid.diagnostics import boundaries

        self._posterior()
        feature, at = located(self, feature, at)
        return boundaries(self.fit_, feature, of=of, at=at, prob=prob)

    @_vanishing
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
            :func:`bayes_hybrid.diagnostics.regimes.regime_scores`.

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

    @_vanishing
    def score_predictions(
        self,
        X: ArrayLike | pd.DataFrame,
        y: ArrayLike | pd.Series | pd.DataFrame,
        by_regime: bool = False,
    ) -> pd.DataFrame:
        """Proper scores of the predictive distribution, with standard errors.

        Log score, CRPS, interval score, pinball losses, RMSE, MAE and coverage, see
        :func:`bayes_hybrid.diagnostics.predictive_scores`.

        Args:
            X: features ``[N, D]``, best of rows held out.
            y: targets ``[N]``, or ``[N, Q]``, NaN where missing.
            by_regime: whether to score the rows of each regime by themselves also.

        Returns:
            Columns ``score``, ``regime``, ``output``, ``value``, ``standard_error``, ``num_rows``
            and ``monte_carlo_error``.
        """
        from bayes_hybrid.diagnostics import predictive_scores

        self._posterior()
        x, target = target_rows(self, X, y)
        seed = stream_seed(self.fit_.seed, "scores")
        return predictive_scores(self.fit_, x, target, by_regime=by_regime, seed=seed)

    @_vanishing
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
        return posterior.predictive.sample(feature_rows(self, X), draws, resolve_seed(random_state))

    @_vanishing
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

    @_vanishing
    def effect(
        self,
        feature: int | str = 0,
        *,
        at: ArrayLike | Mapping[str, float] | None = None,
        of: "Quantity" = "mean",
        derivative: bool = False,
        output: int | str = 0,
        prob: float = 0.9,
        grid: "Grid" = 100,
    ) -> "EffectCurve":
        """What changes along one feature, see :func:`bayes_hybrid.diagnostics.effect_curve`.

        Args:
            feature: position among the features of the fit, or name, of the feature that varies;
                or the name of a column of ``X`` that became one feature.
            at: where the other features are held: D values, or some of them by name; by default
                at the medians of the training rows.
            of: ``"mean"``, ``"expert"`` or ``"contribution"``.
            derivative: whether to return slopes.
            output: position or name of the output, where there are several.
            prob: probability inside the bands.
            grid: number of points over the range of the data, or their values, rising.

        Returns:
            The curves of all posterior draws, with mean, band, flag and ``to_frame()``.

        Raises:
            OptionError: an argument that cannot be what it is; the message says which.
        """
        from bayes_hybrid.diagnostics import effect_curve

        self._posterior()
        feature, at = located(self, feature, at)
        return effect_curve(
            self.fit_,
            feature,
            at=at,
            of=of,
            derivative=derivative,
            output=output,
            prob=prob,
            grid=grid,
        )

    @_vanishing
    def partial_dependence(
        self,
        feature: int | str = 0,
        *,
        of: "Quantity" = "mean",
        output: int | str = 0,
        prob: float = 0.9,
        grid: "Grid" = 40,
        max_rows: int = 100,
    ) -> "PartialDependence":
        """The mean over rows of their curves, and these (partial dependence, Friedman 2001).

        Args:
            feature: position or name of the feature, as in :meth:`effect`.
            of: ``"mean"``, ``"expert"`` or ``"contribution"``.
            output: position or name of the output, where there are several.
            prob: probability inside the bands.
            grid: number of points over the range of the data, or their values, rising.
            max_rows: at most so many training rows are read.

        Returns:
            The curve with its band, the individual curves, and ``to_frame()``.

        Raises:
            OptionError: an argument that cannot be what it is; the message says which.
        """
        from bayes_hybrid.diagnostics import partial_dependence

        self._posterior()
        feature, _ = located(self, feature, None)
        return partial_dependence(
            self.fit_,
            feature,
            of=of,
            output=output,
            prob=prob,
            grid=grid,
            max_rows=max_rows,
        )

    @_vanishing
    def to_datatree(
        self,
        X_test: ArrayLike | pd.DataFrame | None = None,
        y_test: ArrayLike | pd.Series | None = None,
        *,
        output: int | str | None = None,
    ) -> "xr.DataTree":
        """The fit as an ArviZ object, see :func:`bayes_hybrid.diagnostics.to_datatree`.

        Args:
            X_test: held-out features ``[M, D]``.
            y_test: held-out targets ``[M]``.
            output: name or position of the output to export; ``None`` for all of them.

        Returns:
            Groups posterior, posterior_predictive, log_likelihood, sample_stats, observed_data and
            constant_data; with held-out rows also predictions and predictions_constant_data.

        Raises:
            DataError: held-out targets without features.
            OptionError: there is no such output.
        """
        # Here and below: ArviZ takes seconds to import, which predicting should not cost.
        from bayes_hybrid.diagnostics import to_datatree

        self._posterior()
        x, y = held_out_rows(self, X_test, y_test)
        head = self.fit_.posterior.model.label_head
        return to_datatree(
            self.fit_,
            x_test=x,
            y_test=y,
            seed=stream_seed(self.fit_.seed, "datatree"),
            label_names=[str(label) for label in self.regime_labels_],
            label_weight=None if head is None else head.weight,
            output=output,
        )

    @_vanishing
    def diagnose(
        self,
        X_test: ArrayLike | pd.DataFrame | None = None,
        y_test: ArrayLike | pd.Series | None = None,
    ) -> "list[Finding]":
        """Findings about the fit, see :func:`bayes_hybrid.diagnostics.diagnose`.

        Args:
            X_test: held-out features ``[M, D]``; by default those that the fit was saved with.
            y_test: held-out targets ``[M]``; with them, coverage is a finding.

        Returns:
            Findings with name, value, threshold, severity and advice.

        Raises:
            DataError: held-out targets without features.
        """
        from bayes_hybrid.diagnostics import diagnose

        self._posterior()
        x, y = held_out_or_saved(self, X_test, y_test)
        return diagnose(self.fit_, x_test=x, y_test=y, settings=settings_of(self))

    @_vanishing
    def summary(self) -> "Summary":
        """The verdict, the regimes and a picture; in a notebook a fitted estimator shows it.

        Returns:
            What prints as text, in a notebook as a page; its findings, and the picture.

        Example:
            >>> from bayes_hybrid import FitOptions
            >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 2.5]
            >>> quick = FitOptions.quick()
            >>> reg = HybridRegressor(model="line", fit_options=quick, random_state=0).fit(X, y)
            >>> print(repr(reg.summary()).splitlines()[0])
            Fit of y by x0: 4 rows, regimes line, 2 restarts of 30 draws (svi, seed 0).
        """
        from bayes_hybrid.estimator.summary import summarised

        self._posterior()
        return summarised(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary once it is fitted, else scikit-learn's diagram."""
        if hasattr(self, "fit_"):
            return self.summary()._repr_html_()
        diagram: str = estimator_html_repr(self)
        return diagram

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    @_vanishing
    def save(
        self,
        path: str | os.PathLike[str],
        force: bool = False,
        held_out: HeldOut | None = None,
    ) -> None:
        """Write the fit to a folder: JSON, safetensors and, for ArviZ, ``posterior.nc``; no pickle.

        ``manifest.json`` has size and checksum of every file; loading checks them.

        Args:
            path: the folder to be; it appears whole or not at all.
            force: whether a saved fit may be replaced; never a folder with anything else in it.
            held_out: rows that were kept from the fit, to be saved with it: after loading they are
                in ``held_out_``, where :meth:`diagnose` and the report find them.  By default those
                that a loaded fit came with.

        Raises:
            OutputExistsError: the folder exists, and ``force`` is false, it holds no fit, or it
                holds files beside the fit; the message names one.
            OptionError: a setting is an object that cannot be read back, such as your own gate.
            DataError: held-out rows with other columns than the fit.
            OSError: the folder above is missing or not writable, or the disk is full.
        """
        self._posterior()
        write_saved(self, path, force=force, held_out=held_out or self.held_out_)

    def _posterior(self) -> Posterior:
        check_is_fitted(self)
        return self.fit_.posterior
