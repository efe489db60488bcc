"""A fit beside NUTS: the differences by hand, and one run of it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from bayes_hybrid import FitOptions, HybridRegressor, Pathway
from bayes_hybrid.data import Standardizer
from bayes_hybrid.diagnostics.evaluation.chains import r_hat
from bayes_hybrid.diagnostics.evaluation.finding import judge
from bayes_hybrid.errors import OptionError
from bayes_hybrid.estimator import with_units
from bayes_hybrid.gates import LinearGate, ObliqueGate, ThresholdGate
from bayes_hybrid.inference import NUTS, Posterior
from bayes_hybrid.inference.engine.sites import SiteTable
from bayes_hybrid.likelihoods import StudentT
from bayes_hybrid.models import HybridMixture
from bayes_hybrid.validation import ReferenceCheck, check_against_nuts
from bayes_hybrid.validation import reference as reference_module
from bayes_hybrid.validation.reference import compared, nuts_options
from tests.budgets import tiny
from tests.inference.linear import NUM_FEATURES, LinearRegression

LINE = Pathway(kind="gaussian", smoothing="identity", num_units=1, noise="constant")


def posterior(model, num_draws=400, seed=0, scale=2.0):
    """Normal draws about zero; y has the unit ``scale``."""
    table = SiteTable.of(model, torch.zeros(1, model.num_features))
    generator = torch.Generator().manual_seed(seed)
    size = (2, num_draws, table.num_parameters)
    zero = np.zeros(model.num_features)
    return Posterior(
        model=model,
        theta=0.1 * torch.randn(size, generator=generator),
        x_scaling=Standardizer(mean=zero, scale=zero + 1.0),
        y_scaling=Standardizer(mean=np.array(5.0), scale=np.array(scale)),
    )


def values(findings):
    return {finding.name: finding.value for finding in findings}


def test_a_posterior_does_not_differ_from_itself():
    for gate in (ThresholdGate(), LinearGate()):
        one = posterior(HybridMixture(num_features=1, experts=(LINE, LINE), gate=gate))
        findings = compared(one, one, np.linspace(-1.0, 1.0, 9)[:, None], np.full(9, 5.0))
        expected = {"mean_difference": 0.0, "interval_width": 1.0, "log_density": 0.0}
        expected |= {"regime_distance": 0.0}
        if gate.has_thresholds:
            expected |= {"threshold_shift": 0.0, "threshold_sd": 1.0}
        assert values(findings) == pytest.approx(expected)
        assert {finding.severity for finding in findings} == {"ok"}


def test_a_shift_and_a_width_in_closed_form():
    model = LinearRegression(noise=0.5)
    right = posterior(model)
    x = np.zeros((3, NUM_FEATURES))
    y = np.full(3, 5.0)
    # At x = 0 the mean is the intercept: standardised draws of sd 0.1 beside a noise of 0.5.
    sd = np.sqrt(0.5**2 + float(right.theta[..., 3].double().var(correction=0)))
    shifted = replace(right, theta=right.theta + torch.tensor([0.0, 0.0, 0.0, 0.3]))
    found = values(compared(shifted, right, x, y))
    assert found["mean_difference"] == pytest.approx(0.3 / sd, rel=1e-5)
    assert found["interval_width"] == pytest.approx(1.0, rel=1e-4)

    # The draws are nearly of the mean alone, and both predictives nearly normal.
    def log_density(mean):
        return -0.5 * (mean / sd) ** 2

    center = float(right.theta[..., 3].double().mean())
    expected = log_density(center + 0.3) - log_density(center)
    assert found["log_density"] == pytest.approx(expected, rel=0.02)
    narrow = replace(right, model=LinearRegression(noise=0.25))
    ratio = np.sqrt((0.25**2 + sd**2 - 0.5**2) / sd**2)
    finding = compared(narrow, right, x, y)[1]
    assert finding.value == pytest.approx(ratio, rel=0.01)
    assert (finding.comparison, finding.severity) == (">=", "warning")
    wide = compared(right, narrow, x, y)[1]
    assert (wide.comparison, wide.severity) == ("<=", "warning")


def test_thresholds_by_hand():
    model = HybridMixture(num_features=1, experts=(LINE, LINE), gate=ThresholdGate())
    right = posterior(model)
    place = next(s.start for s in right.table.sites if s.name == "gate.location")
    theta = right.theta.clone()
    theta[..., place] = 0.5 + 2.0 * theta[..., place]
    found = values(compared(replace(right, theta=theta), right, np.zeros((2, 1)), np.zeros(2)))
    draws = right.theta[..., place].double().numpy()
    shift = abs(0.5 + draws.mean()) / draws.std()
    assert found["threshold_shift"] == pytest.approx(shift, rel=1e-5)
    assert found["threshold_sd"] == pytest.approx(2.0, rel=1e-5)
    three = HybridMixture(num_features=1, experts=(LINE, LINE, LINE), gate=ThresholdGate())
    names = values(compared(posterior(three), posterior(three), np.zeros((2, 1)), np.zeros(2)))
    assert {"threshold_shift[1]", "threshold_sd[2]"} <= set(names)


def test_regimes_are_renamed_only_where_they_have_no_order():
    x, y = np.linspace(-1.0, 1.0, 9)[:, None], np.full(9, 5.0)
    model = HybridMixture(num_features=1, experts=(LINE, LINE), gate=LinearGate())
    right = posterior(model)
    theta = right.theta.reshape(-1, right.theta.shape[-1])
    swapped = [
        right.table.flatten(model.relabelled(right.table.constrain(flat), (1, 0))) for flat in theta
    ]
    renamed = replace(right, theta=torch.stack(swapped).reshape(right.theta.shape))
    assert not np.allclose(
        renamed.predictive.regime_probability(x), right.predictive.regime_probability(x)
    )
    assert values(compared(renamed, right, x, y))["regime_distance"] < 1e-6
    model = replace(model, gate=ThresholdGate())
    right = posterior(model)
    place = next(s.start for s in right.table.sites if s.name == "gate.location")
    theta = right.theta.clone()
    theta[..., place] += 3.0
    moved = replace(right, theta=theta)
    one, other = moved.predictive.regime_probability(x), right.predictive.regime_probability(x)
    distance = values(compared(moved, right, x, y))["regime_distance"]
    assert distance == pytest.approx(0.5 * np.abs(one - other).sum(1).mean(), rel=1e-6)
    assert distance > 0.3


@pytest.mark.parametrize("num_regimes", [2, 3])
def test_a_direction_of_the_opposite_sign_is_no_difference(num_regimes):
    model = HybridMixture(num_features=2, experts=(LINE,) * num_regimes, gate=ObliqueGate())
    right = posterior(model, num_draws=20)
    order = [*range(num_regimes)][::-1]
    turned = [
        right.table.flatten(model.relabelled(right.table.constrain(flat), order))
        for flat in right.theta.reshape(40, -1)
    ]
    other = replace(right, theta=torch.stack(turned).reshape(right.theta.shape))
    x = np.random.default_rng(0).standard_normal((9, 2))
    assert not np.allclose(
        other.predictive.regime_probability(x), right.predictive.regime_probability(x)
    )
    found = values(compared(other, right, x, np.full(9, 5.0)))
    expected = {name: float("sd" in name or "width" in name) for name in found}
    # Turning goes through float32 once more.
    assert found == pytest.approx(expected, abs=1e-4)


def test_beside_an_infinite_variance_no_mean_is_near():
    # Two degrees of freedom or fewer have no variance.
    heavy = replace(LINE, likelihood=StudentT(df=1.5))
    model = HybridMixture(num_features=1, experts=(heavy, heavy), gate=ThresholdGate())
    one = posterior(model, num_draws=20)
    finding = compared(one, one, np.zeros((2, 1)), np.zeros(2))[0]
    assert np.isnan(finding.value)
    assert finding.severity == "warning"


def test_several_outputs_are_compared_each_in_its_unit():
    model = HybridMixture(num_features=1, experts=(LINE, LINE), gate=ThresholdGate(), num_outputs=2)
    one = posterior(model)
    scaling = Standardizer(mean=np.zeros(2), scale=np.array([1.0, 1e6]))
    one = replace(one, y_scaling=scaling)
    y = np.array([[0.0, np.nan], [1.0, 1e6]])
    findings = compared(one, one, np.zeros((2, 1)), y)
    assert values(findings)["interval_width"] == pytest.approx(1.0)
    assert {finding.severity for finding in findings} == {"ok"}


def test_the_options_of_nuts_are_the_estimators_own():
    options = nuts_options(
        FitOptions(num_restarts=16, plan="balanced"),
        HybridMixture(),
        num_chains=3,
        num_warmup=7,
        num_draws=9,
        max_tree_depth=4,
    )
    nuts = options.sampler
    assert isinstance(nuts, NUTS)
    assert (options.plan, options.num_restarts) == ("balanced", 3)
    assert nuts.budget is None
    assert (nuts.num_warmup, nuts.num_iterations) == (7, 9)
    assert (nuts.max_tree_depth, options.variational.num_draws) == (4, 9)


@pytest.mark.parametrize(
    ("difference", "r_hat", "sentence"),
    [
        (0.1, 1.0, "The fit agrees with NUTS on these rows."),
        (0.9, 1.0, "The fit differs from NUTS in mean_difference."),
        (0.1, 1.4, "NUTS's own chains do not agree (r-hat 1.40)"),
        (0.1, np.nan, "NUTS's own chains are too few or too short for an r-hat"),
    ],
)
def test_the_sentence_says_what_differs_and_whether_nuts_can_be_believed(
    difference, r_hat, sentence
):
    words: dict[str, Any] = {"meaning": "", "advice": ""}
    findings = (
        judge("mean_difference", difference, "<=", 1 / 3, **words),
        judge("nuts_r_hat", r_hat, "<=", 1.1, **words),
    )
    nothing: Any = object()
    check = ReferenceCheck(
        findings=findings, recipe=nothing, reference=nothing, num_compared=1, held_out=True
    )
    assert sentence in check.sentence


def rows(num_rows=40):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2.0, 2.0, (num_rows, 1))
    return x, np.where(x[:, 0] < 0.3, 0.0, 2.0) + 0.3 * rng.standard_normal(num_rows)


@pytest.mark.slow
def test_a_run_on_some_of_the_rows(monkeypatch):
    x, y = rows()
    told: list[str] = []
    reg = HybridRegressor(
        gate="threshold",
        experts=(LINE, LINE),
        fit_options=tiny(200),
        random_state=0,
        progress=lambda stage, done, total: told.append(stage),
    ).fit(x, y)
    told.clear()
    settings: dict[str, Any] = {
        "num_chains": 2,
        "num_warmup": 5,
        "num_draws": 6,
        "max_tree_depth": 2,
    }
    check = check_against_nuts(reg, num_rows=30, **settings)
    assert (check.num_compared, check.held_out) == (10, True)
    assert (check.recipe.training.method, check.reference.training.method) == ("svi", "svi+nuts")
    assert check.reference.posterior.theta.shape[:2] == (2, 6)
    np.testing.assert_array_equal(check.recipe.x, check.reference.x)
    assert len({tuple(row) for row in check.recipe.x} & {tuple(row) for row in x}) == 30
    assert check.findings[-1].name == "nuts_r_hat"
    # Chains that agree in all but their thresholds do not agree.
    monkeypatch.setattr(reference_module, "label_free", lambda _: np.zeros((2, 6, 1)))
    of_thresholds = r_hat(check.reference.posterior.thresholds.location).max()
    assert reference_module._mixing(check.reference).value == of_thresholds
    monkeypatch.undo()
    assert "refinement (NUTS)" in told
    everything = check_against_nuts(reg, num_rows=100, **settings)
    assert (everything.num_compared, everything.held_out) == (40, False)


def test_what_cannot_be_is_refused():
    reg = with_units(
        HybridRegressor(model="relu", noise="constant", fit_options=tiny()), num_units=2
    )
    with pytest.raises(NotFittedError):
        check_against_nuts(reg)
    reg.set_params(random_state=0, progress=False).fit(*rows())
    for options in ({"num_rows": 1}, {"num_chains": 1}, {"num_draws": 0}, {"max_tree_depth": 0}):
        with pytest.raises(OptionError, match="must be an integer"):
            check_against_nuts(reg, **options)
