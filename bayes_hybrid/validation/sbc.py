"""Simulation-based calibration of the whole recipe."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone

from bayes_hybrid import checks
from bayes_hybrid.ablation.cells import encoded
from bayes_hybrid.ablation.running import as_they_end, check_jobs
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import HybridRegressor, build_model, build_options, reporting
from bayes_hybrid.inference import FitOptions
from bayes_hybrid.inference.saving.manifest import package_version
from bayes_hybrid.models import HybridModel
from bayes_hybrid.random import resolve_seed, spawn_seeds
from bayes_hybrid.validation.calibration import SimulationCalibration, summarised
from bayes_hybrid.validation.replication import Replication, replicate
from bayes_hybrid.validation.store import ReplicationStore

__all__ = ["sbc"]


def sbc(
    estimator: HybridRegressor,
    *,
    num_replications: int = 200,
    num_rows: int = 100,
    num_features: int = 1,
    prob: float = 0.95,
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> SimulationCalibration:
    """Is the posterior of an estimator right, on average over data from its own prior?

    ::

        theta ~ prior;  x_n ~ Uniform with mean 0 and sd 1;  y ~ p(y | x, theta)
        theta_1, ..., theta_L = draws of the estimator's posterior given x, y
        rank(f) = #{f(theta_l) < f(theta)}   is uniform on 0, ..., L   if the posterior is right

    The draws are at most ten of each restart, evenly spaced.  Ranks are held against the
    simultaneous band of the ecdf of uniform numbers, one for each label-free quantity f
    (:func:`~bayes_hybrid.validation.quantities.quantities`).

    Priors are statements about standardised data, so the simulated numbers are taken as
    standardised already and fitted as they are: standardised by their own mean and sd, they would
    be data of another prior, and ranks would not be uniform even for the exact posterior.  All
    else of the recipe runs as in ``fit``.  Every draw of the prior counts, also those with all
    rows in one regime or with scales of a hundred: uniformity holds over all of them, and over no
    selection.

    Args:
        estimator: the settings; it need not be fitted.  Its ``random_state`` is the root of all
            seeds, its ``progress`` says how to report.
        num_replications: data sets, two or more.
        num_rows: N, rows of each, two or more.
        num_features: D.
        prob: probability of each simultaneous band.
        n_jobs: processes; ``None`` leaves it to ``joblib.parallel_config``, and is 1 outside.
        folder: where each replication is written when it is done.  Called again with the same
            settings, also after having been killed or with more replications, ``sbc`` reads those
            that are there and computes the others.

    Returns:
        Table, ranks and plot.  A replication that could not be fitted has no rank and is named.

    Raises:
        OptionError: a setting cannot be what it is; a folder without an integer ``random_state``.
        OutputExistsError: the folder holds something else, or was begun with another setup.
        FitError: fewer than two replications could be fitted.

    Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788; bands of
    Saeilynoja, Buerkner and Vehtari (2022), Statistics and Computing 32 (32).

    Example:
        >>> from bayes_hybrid import FitOptions, Pathway
        >>> path = Pathway("gaussian", smoothing="identity", num_units=1, noise="constant")
        >>> line = HybridRegressor(
        ...     model=path, fit_options=FitOptions.quick(), progress=False, random_state=0
        ... )
        >>> result = sbc(line, num_replications=3, num_rows=20)
        >>> result.ranks.shape, list(result.ranks)[:2]
        ((3, 5), ['mean(x=-1)', 'mean(x=0)'])
    """
    checks.instance("estimator", estimator, HybridRegressor)
    checks.positive_int("num_replications", num_replications, minimum=2)
    checks.positive_int("num_rows", num_rows, minimum=2)
    checks.positive_int("num_features", num_features)
    checks.fraction("prob", prob)
    check_jobs(n_jobs)
    # A clone, because a fitted estimator knows the names of its columns.
    model, options = build_model(clone(estimator), num_features), build_options(estimator)
    if folder is not None and not isinstance(estimator.random_state, int | np.integer):
        raise OptionError(
            "a folder needs random_state=... with an integer in the estimator, so that the next "
            f"call makes the same data; got {estimator.random_state!r}"
        )
    root = resolve_seed(estimator.random_state)
    store = None
    if folder is not None:
        setup = {"format": "bayes_hybrid.sbc", "version": package_version(), "seed": root}
        sizes = {"num_rows": num_rows, "num_features": num_features}
        store = ReplicationStore(folder, {**setup, **sizes, "settings": encoded(estimator)})
    found = [None if store is None else store.read(number) for number in range(num_replications)]
    done = [replication for replication in found if replication is not None]
    # A longer list of seeds starts with the shorter one: more replications keep the earlier ones.
    seeds = spawn_seeds(root, num_replications)
    missing = [(number, seeds[number]) for number, there in enumerate(found) if there is None]
    with reporting(estimator.progress) as report:
        report("replications", len(done), num_replications)
        for replication in _computed(model, options, missing, num_rows, n_jobs):
            if store is not None:
                store.write(replication)
            done.append(replication)
            report("replications", len(done), num_replications)
    return summarised(done, prob)


def _computed(
    model: HybridModel,
    options: FitOptions,
    missing: Sequence[tuple[int, int]],
    num_rows: int,
    n_jobs: int | None,
) -> Iterator[Replication]:
    """The missing replications, each as soon as it is done."""
    beside = joblib.effective_n_jobs(n_jobs) > 1
    settings: dict[str, Any] = {"num_rows": num_rows, "one_thread": beside}
    run = joblib.delayed(replicate)
    calls = [run(model, options, number=n, seed=seed, **settings) for n, seed in missing]
    yield from as_they_end(calls, n_jobs) if calls else ()
