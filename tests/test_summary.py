"""A fitted estimator prints its verdict, its regimes and a picture."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from bayes_hybrid import HybridRegressor
from bayes_hybrid.diagnostics import verdict
from tests.budgets import SHORT


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"<b>dose</b>": np.sort(rng.uniform(0.0, 10.0, 60))})
    y = np.where(X.iloc[:, 0] < 4.0, 0.0, 3.0) + 0.2 * rng.standard_normal(60)
    reg = HybridRegressor(
        experts=("constant", "constant"), gate="threshold", fit_options=SHORT, random_state=0
    )
    return reg.fit(X, y)


def test_it_says_what_was_found_and_whether_it_can_be_used(fitted):
    summary = fitted.summary()
    assert [finding.name for finding in summary.findings] == [f.name for f in fitted.diagnose()]
    text = repr(summary)
    assert text.startswith("Fit of y by <b>dose</b>: 60 rows, regimes constant_1, constant_2")
    assert "from 'constant_1' to 'constant_2' at <b>dose</b> = " in text
    assert text.endswith(verdict(summary.findings))


def test_a_notebook_shows_it_with_a_picture(fitted):
    page = fitted._repr_html_()
    assert page == fitted._repr_mimebundle_()["text/html"] == fitted.summary()._repr_html_()
    assert '<img alt="The fit and its regime probabilities" src="data:image/png;base64,' in page
    assert "&lt;b&gt;dose&lt;/b&gt;" in page
    assert "<b>dose" not in page


def test_before_the_fit_it_is_scikit_learns_diagram():
    reg = HybridRegressor()
    assert "HybridRegressor" in reg._repr_html_()
    assert "<img" not in reg._repr_html_()
    with pytest.raises(NotFittedError):
        reg.summary()
