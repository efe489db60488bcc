"""What leave-one-out needs of a fit, as bytes that a worker sends and a folder keeps."""

import io
from typing import Any, Final

import numpy as np
import xarray as xr

from bayes_hybrid.diagnostics.scores.leave_one_out import LeaveOneOut, leave_one_out

__all__ = ["kept", "read_kept"]

# Of the posterior, what does not depend on how hidden units are numbered.
_SUMMARIES: Final = ("usage", "log_lik")


def kept(tree: xr.DataTree) -> bytes:
    """What :func:`read_kept` reads of a fit, as an npz archive.

    No netCDF, because xarray takes Dask's locks when it writes one inside a Dask worker.

    Args:
        tree: see :func:`bayes_hybrid.diagnostics.to_datatree`.

    Returns:
        ``log_likelihood [R, S, N]`` in float32, which is what fits are computed in, and the
        posterior's ``usage [R, S, K]`` and ``log_lik [R, S]``, where they move.
    """
    (log_likelihood,) = tree["log_likelihood"].data_vars.values()
    posterior = tree["posterior"].data_vars
    arrays: dict[str, Any] = {name: posterior[name] for name in _SUMMARIES if name in posterior}
    arrays["log_likelihood"] = log_likelihood.astype(np.float32)
    archive = io.BytesIO()
    np.savez(archive, **{name: values.to_numpy() for name, values in arrays.items()})
    return archive.getvalue()


def read_kept(draws: bytes) -> LeaveOneOut:
    """Leave-one-out of the fit that was kept.

    Args:
        draws: what :func:`kept` made.

    Raises:
        ValueError: there are fewer than 25 draws, or all alike, or the result is not finite.
    """
    with np.load(io.BytesIO(draws), allow_pickle=False) as archive:
        arrays = {name: archive[name].astype(np.float64) for name in archive.files}
    return leave_one_out(arrays)
