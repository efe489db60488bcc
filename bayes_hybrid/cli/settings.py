"""What the command line passes on to the estimator."""

from dataclasses import dataclass

from bayes_hybrid.errors import OptionError

__all__ = ["Settings", "refuse_no_jobs"]


def refuse_no_jobs(num_jobs: int) -> None:
    """Check a number of processes.

    Raises:
        OptionError: it is 0.
    """
    if num_jobs == 0:
        raise OptionError("--jobs must be a number of processes, or -1 for one per core; got 0")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of a fit as they were typed; the estimator checks them.

    The defaults are the estimator's own; they stand here too, because ``--help`` names them and
    must not load torch.

    Attributes:
        model: ``"mixture"`` or the kind of a single pathway.
        gate: name of the gate.
        gate_feature: column that a gate on one feature reads; ``None`` for the only one.
        abrupt: whether regimes change from one row to the next.
        experts: name of each regime's expert, separated by commas.
        joined: whether curves meet at the thresholds.
        likelihood: name of the likelihood.
        exposure: column with the rows' exposure, of counts; ``None`` for none.
        trials: column with the number of trials, of a binomial target; ``None`` for none.
        noise: ``"input"`` or ``"constant"``.
        label_noise: ``"learned"`` or ``"none"``.
        label_weight: weight of the regime labels.
        num_units: hidden units of each pathway, or ``"auto"``.
        num_restarts: modes that are looked for, or ``"auto"``.
        plan: name of a training plan, or several, separated by commas.
        refine: ``"auto"``, ``"always"`` or ``"never"``.
        missing: ``"impute"`` or ``"refuse"``.
        log: columns whose logarithm the model reads, as typed.
        seed: everything random is derived from it.
        device: ``"auto"`` or a torch device.
        quick: next to no training, for tests.
    """

    model: str = "mixture"
    gate: str = "relu"
    gate_feature: str | None = None
    abrupt: bool = False
    experts: str = "gaussian,relu"
    joined: bool = False
    likelihood: str = "normal"
    exposure: str | None = None
    trials: str | None = None
    noise: str = "input"
    label_noise: str = "learned"
    label_weight: float = 1.0
    num_units: str = "auto"
    num_restarts: str = "auto"
    plan: str = "default"
    refine: str = "auto"
    missing: str = "impute"
    log: tuple[str, ...] = ()
    seed: int = 0
    device: str = "auto"
    quick: bool = False
