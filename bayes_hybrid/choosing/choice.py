"""The answer: a table, a picture, and what fits the winner."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from bayes_hybrid.arrays import FloatArray
from bayes_hybrid.choosing.candidates import Candidate
from bayes_hybrid.choosing.command import fit_command
from bayes_hybrid.choosing.fits import estimator_of
from bayes_hybrid.choosing.rule import gain, pays, simplest
from bayes_hybrid.choosing.scores import NUM_FOLDS, Scores
from bayes_hybrid.choosing.stacking import stacking_weights
from bayes_hybrid.digits import with_error
from bayes_hybrid.errors import FitError
from bayes_hybrid.estimator import HybridRegressor
from bayes_hybrid.tabular import Tabular

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Choice", "chosen_from"]

_FEW_ROWS: Final = 100
"""As for :func:`~bayes_hybrid.diagnostics.compare`."""


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Choice(Tabular):
    """How many regimes, which experts, and how clear that is.

    ``table`` has a row for each candidate that was fitted, from few parameters to many, its name
    the index.

    ==================  ========================================================================
    column              meaning
    ==================  ========================================================================
    ``regimes``         K
    ``gate``            name of the gate, ``none`` for one regime
    ``elpd``            log density by leave-one-out, summed over the rows, in nats
    ``gain``            its difference to the best candidate's: 0, or negative; beside another
                        ``by``, that of the held-out densities
    ``error``           standard error of ``gain``, paired by row
    ``weight``          stacking weight: its share of the best mixture of the candidates
    ``bad_k``           share of rows with Pareto k-hat above 0.7; above 0.05 leave-one-out is not
                        trusted
    ``by``              ``loo``, or ``folds`` where candidates were compared by held-out folds;
                        empty where one took no part, because it cannot be trusted and would not
                        change the answer, or because it lost before the folds
    ``seconds``         of the fit to all rows
    ``chosen``          whether it is the answer
    ==================  ========================================================================

    Attributes:
        table: the comparison.
        best: name of the chosen candidate.
        candidates: every candidate that was fitted, by its name.
        estimator: what fits the winner: the base with its settings, not fitted.
        pointwise: log density of each row by the candidates that were compared, in nats,
            ``[N]`` each.
        notes: the answer in words, and what to know before believing it.
    """

    table: pd.DataFrame
    best: str
    candidates: Mapping[str, Candidate]
    estimator: HybridRegressor
    pointwise: Mapping[str, FloatArray]
    notes: tuple[str, ...]

    @property
    def num_regimes(self) -> int:
        """K of the winner."""
        return self.candidates[self.best].num_regimes

    def to_frame(self) -> pd.DataFrame:
        """The table."""
        return self.table

    def command(
        self,
        data: str | os.PathLike[str] = "data.csv",
        target: str = "y",
        *,
        features: Sequence[str] = (),
        out: str | os.PathLike[str] = "fit",
    ) -> str:
        """The command line that fits the winner, quoted for a shell.

        See :func:`~bayes_hybrid.choosing.fit_command`.

        Args:
            data: the table.
            target: column to predict.
            features: columns to predict from; all others by default.
            out: folder to save the fit in.

        Raises:
            OptionError: the base has a setting without an option on the command line.
        """
        return fit_command(self.estimator, data=data, target=target, features=features, out=out)

    def plot(self) -> "Figure":
        """What each candidate is behind the best, with its standard error.

        Returns:
            The figure, which belongs to no window and can be saved with ``savefig``.
        """
        # matplotlib takes a second to import, which choosing should not cost.
        from bayes_hybrid.choosing.plot import plot_candidates

        return plot_candidates(self.table, self.candidates)


def chosen_from(scores: Scores, base: HybridRegressor) -> Choice:
    """The answer.

    Args:
        scores: of all candidates that were tried.
        base: the estimator without a candidate's settings.

    Raises:
        FitError: the folds of every candidate failed.
    """
    by_folds = bool(scores.folds)
    if not by_folds and not any(score.trusted for score in scores.loo.values()):
        raise FitError(
            "no candidate can be compared: leave-one-out cannot be trusted for any of them, and "
            f"their folds failed ({'; '.join(scores.notes) or 'no reason is known'})"
        )
    compared = scores.folds if by_folds else _by_loo(scores)
    pointwise = {name: compared[name] for name in scores.in_order(compared)}
    best = simplest(pointwise)
    return Choice(
        table=_table(scores, pointwise, best, "folds" if by_folds else "loo"),
        best=best,
        candidates=MappingProxyType(
            {name: scores.tried[name] for name in scores.in_order(scores.tried)}
        ),
        estimator=estimator_of(base, scores.tried[best]),
        pointwise=MappingProxyType(pointwise),
        notes=tuple(_notes(scores, pointwise, best)),
    )


def _by_loo(scores: Scores) -> dict[str, FloatArray]:
    return {name: score.pointwise for name, score in scores.loo.items() if score.trusted}


def _table(scores: Scores, pointwise: Mapping[str, FloatArray], best: str, by: str) -> pd.DataFrame:
    ahead = max(pointwise.values(), key=np.sum)
    weights = stacking_weights(pointwise)
    lines = []
    for name in scores.in_order(scores.tried):
        candidate, score = scores.tried[name], scores.loo.get(name)
        difference = gain(pointwise[name], ahead) if name in pointwise else (np.nan, np.nan)
        lines.append(
            {
                "candidate": name,
                "regimes": candidate.num_regimes,
                "gate": candidate.gate,
                "elpd": np.nan if score is None else float(score.pointwise.sum()),
                "gain": difference[0],
                "error": difference[1],
                "weight": weights.get(name, np.nan),
                "bad_k": np.nan if score is None else score.bad_k,
                "by": by if name in pointwise else "",
                "seconds": np.nan if score is None else score.seconds,
                "chosen": name == best,
            }
        )
    return pd.DataFrame(lines).set_index("candidate")


def _notes(scores: Scores, pointwise: Mapping[str, FloatArray], best: str) -> list[str]:
    winner, rows = scores.tried[best], pointwise[best]
    notes = [_answer(winner, scores, pointwise)]
    for name, other in pointwise.items():
        simpler = scores.tried[name].place < winner.place
        alone = scores.tried[name].num_regimes == 1 and not simpler
        if alone and name != best and not pays(rows, other):
            notes.append(
                f"{name} predicts as well, without regimes but with more parameters: the regimes "
                "are the simpler description, and no proof that there are any."
            )
    doubtful = [name for name, score in scores.loo.items() if not score.trusted]
    if doubtful:
        decided = (
            f"The answer is by {NUM_FOLDS} held-out folds."
            if scores.folds
            else "Without them or with them the answer is the same."
        )
        notes.append(
            f"Leave-one-out cannot be trusted for {', '.join(doubtful)}: more than one row in "
            f"twenty has a large k-hat. {decided}"
        )
    if len(rows) < _FEW_ROWS:
        notes.append(
            f"With {len(rows)} rows the standard errors of differences are too small: look at "
            "candidates that are near."
        )
    return [*notes, *dict.fromkeys(scores.notes)]


def _answer(winner: Candidate, scores: Scores, pointwise: Mapping[str, FloatArray]) -> str:
    count = winner.num_regimes
    words = "One regime is enough" if count == 1 else f"{count} regimes"
    fewer = [name for name in pointwise if scores.tried[name].num_regimes < count]
    if not fewer:
        return f"{words}: {winner.name}."
    near = max(fewer, key=lambda name: pointwise[name].sum())
    value, error = with_error(*gain(pointwise[winner.name], pointwise[near]))
    return f"{words}: {winner.name}, ahead of {near} by {value} nats (standard error {error})."
