"""Data in and out: table files, standardisation, simulators, and small built-in data sets."""

from bayes_hybrid.data.arrays import numeric_array, unmasked
from bayes_hybrid.data.atomic import (
    atomic_file,
    atomic_folder,
    refuse_existing,
    refuse_occupied,
)
from bayes_hybrid.data.builtin import load_gnp, load_motorcycle, load_nile
from bayes_hybrid.data.columns import numeric_column
from bayes_hybrid.data.encoding import Encoding
from bayes_hybrid.data.held_out import HeldOut
from bayes_hybrid.data.learning import learned_encoding
from bayes_hybrid.data.outputs import is_several, regime_numbers, require_outputs
from bayes_hybrid.data.scaling import (
    Standardizer,
    constant_columns,
    refuse_far,
    refuse_large,
    refuse_narrow,
)
from bayes_hybrid.data.simulators import FAMILIES, Simulated, simulate
from bayes_hybrid.data.tables import read_table, split_target, write_table

__all__ = [
    "FAMILIES",
    "Encoding",
    "HeldOut",
    "Simulated",
    "Standardizer",
    "atomic_file",
    "atomic_folder",
    "constant_columns",
    "is_several",
    "learned_encoding",
    "load_gnp",
    "load_motorcycle",
    "load_nile",
    "numeric_array",
    "numeric_column",
    "read_table",
    "refuse_existing",
    "refuse_far",
    "refuse_large",
    "refuse_narrow",
    "refuse_occupied",
    "regime_numbers",
    "require_outputs",
    "simulate",
    "split_target",
    "unmasked",
    "write_table",
]
