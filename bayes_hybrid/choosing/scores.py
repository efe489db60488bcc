"""Rounds of the ablation, and what they tell of each candidate."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd
from numpy.typing import ArrayLike

from bayes_hybrid.ablation import Ablation, Variant, ablate
from bayes_hybrid.ablation.variant import BASE
from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.choosing.candidates import Candidate
from bayes_hybrid.choosing.fits import SETTINGS, searching
from bayes_hybrid.diagnostics.evaluation.chains import BAD_K
from bayes_hybrid.diagnostics.scores.leave_one_out import BAD_SHARE
from bayes_hybrid.errors import FitError
from bayes_hybrid.estimator import HybridRegressor
from bayes_hybrid.inference import Progress

__all__ = ["NUM_FOLDS", "Score", "Scores"]

NUM_FOLDS: Final = 5
"""As many as :func:`~bayes_hybrid.ablate` has."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Score:
    """One candidate, fitted to all rows.

    Attributes:
        pointwise: log density of each row by leave-one-out, in nats, ``[N]``.
        bad_k: share of rows with Pareto k-hat above 0.7.
        seconds: of the fit.
    """

    pointwise: FloatArray
    bad_k: float
    seconds: float

    @property
    def trusted(self) -> bool:
        """Whether at most one row in twenty has a large k-hat."""
        return self.bad_k <= BAD_SHARE


@dataclass(kw_only=True)
class Scores:
    """What is known of each candidate; every fit goes through :func:`~bayes_hybrid.ablate`.

    Args:
        base: the estimator in question, with an integer seed.
        first: the simplest candidate, which is fitted in each round: the ablation's base.
        X: features ``[N, D]``.
        y: targets ``[N]``.
        n_jobs: fits side by side.
        folder: where fits are kept.
        report: told about fits done.
    """

    base: HybridRegressor
    first: Candidate
    X: ArrayLike | pd.DataFrame
    y: ArrayLike | pd.Series
    n_jobs: int | None
    folder: str | os.PathLike[str]
    report: Progress
    tried: dict[str, Candidate] = field(default_factory=dict)
    loo: dict[str, Score] = field(default_factory=dict)
    folds: dict[str, FloatArray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def leave_one_out(self, wanted: Sequence[Candidate]) -> None:
        """Fit candidates to all rows; those without leave-one-out get a note.

        Raises:
            FitError: no candidate has one.
        """
        new = [each for each in wanted if each.name not in self.tried]
        if not new:
            return
        self.tried |= {each.name: each for each in new}
        found = self._ablated(new, 0, f"{max(each.num_regimes for each in new)} regimes")
        seconds = found.cells.set_index("variant")["seconds"]
        for name, rows in self._by_name(found.left_out):
            self.loo[name] = Score(
                pointwise=rows["log_density"].to_numpy(),
                # Written so that a k that is NaN counts as bad.
                bad_k=float((~(rows["pareto_k"] <= BAD_K)).mean()),
                seconds=float(seconds[BASE if name == self.first.name else name]),
            )
        if not self.loo:
            failure = found.cells["failure"].iloc[0]
            raise FitError(f"no candidate has a leave-one-out to compare; the first: {failure}")

    def cross_validate(self, names: Iterable[str]) -> None:
        """Held-out densities by folds, where leave-one-out cannot be trusted."""
        found = self._ablated([self.tried[name] for name in names], 1, "folds")
        whole = len(next(iter(self.loo.values())).pointwise)
        for name, rows in self._by_name(found.rows):
            if len(rows) == whole:
                self.folds[name] = rows.sort_values("row")["log_density"].to_numpy()

    def in_order(self, names: Iterable[str]) -> list[str]:
        """From the simplest candidate to the most complex."""
        return sorted(names, key=lambda name: self.tried[name].place)

    def _ablated(self, wanted: Sequence[Candidate], num_repeats: int, stage: str) -> Ablation:
        base = searching(self.base, self.first).set_params(progress=self._reporting(stage))
        found = ablate(
            self.X,
            self.y,
            base=base,
            variants=[_variant(self.base, each) for each in wanted if each is not self.first],
            num_folds=NUM_FOLDS,
            num_repeats=num_repeats,
            n_jobs=self.n_jobs,
            folder=self.folder,
        )
        self.notes += [
            note.replace(f"{BASE}:", f"{self.first.name}:")
            for note in found.notes
            if " cells failed" in note
        ]
        return found

    def _reporting(self, stage: str) -> Callable[[str, int, int], None]:
        def report(cells: str, done: int, total: int) -> None:
            self.report(f"{stage}, {cells}", done, total)

        return report

    def _by_name(self, rows: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
        """The rows of each candidate, by its name."""
        if rows.empty:
            return
        for name, mine in rows.groupby("variant", sort=False):
            yield (self.first.name if name == BASE else str(name)), mine


def _variant(base: HybridRegressor, candidate: Candidate) -> Variant:
    params: dict[str, Any] = searching(base, candidate).get_params(deep=False)
    return Variant(candidate.name, {name: params[name] for name in SETTINGS})
