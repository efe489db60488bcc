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

    Each is the option of ``bayes-hybrid fit`` of its name, whose help says what it is; ``quick`` is
    next to no training, for tests.
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
    censored: str | None = None
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
