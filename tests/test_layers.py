"""Imports inside the package point down only: errors at the bottom, the command line on top."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

PACKAGE: Final = "bayes_hybrid"
ROOT: Final = Path(__file__).resolve().parents[1] / PACKAGE

# A unit is a module or folder directly in the package.
LAYERS: Final = {
    "errors": 0,
    "arrays": 0,
    "checks": 0,
    "cached": 0,
    "digits": 0,
    "random": 0,
    "tabular": 0,
    "words": 0,
    "distributions": 1,
    "data": 1,
    "nn": 2,
    "gates": 2,
    "likelihoods": 2,
    "priors": 2,
    "models": 3,
    "inference": 4,
    "diagnostics": 5,
    "plots": 6,
    "report": 6,
    "estimator": 6,
    "ablation": 6,
    "choosing": 6,
    "validation": 6,
    # The public names: the command line may use them, nothing else does.
    "": 6,
    "cli": 7,
    "__main__": 7,
}
# Folders and modules of a unit from the ground up; those on one floor do not know each other.
FLOORS: Final[dict[str, tuple[set[str], ...]]] = {
    "inference": (
        {"progress", "readings", "engine"},
        {"guides", "posterior"},
        {"samplers", "result"},
        {"recipe"},
        {"constant", "saving"},
        {"fit"},
        {""},
    ),
    "diagnostics": (
        {"evaluation"},
        {"curves"},
        {"regimes"},
        {"export"},
        {"scores"},
        {"findings"},
        {""},
    ),
}
# Where ArviZ's objects and xarray's may be seen.
ARVIZ_UNITS: Final = {"diagnostics", "plots", "estimator", "ablation", "validation", "cli"}
ARVIZ: Final = {"arviz", "arviz_base", "arviz_stats", "arviz_plots", "xarray"}
_SITES: Final = {"sample", "PyroSample"}
# inference knows models by these modules alone.
ABSTRACT_MODEL: Final = tuple(
    f"{PACKAGE}.models.{name}" for name in ("base", "latent", "regularised", "sampled", "target")
)


class Import(NamedTuple):
    """One imported name, in full, and where it was written."""

    name: str
    line: int


def imports(source: str, module: str, *, is_package: bool) -> Iterator[Import]:
    """Every name that a module imports, anywhere in it, with relative imports resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                parents = package[: len(package) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno)


def unit_of(name: str) -> str:
    """The unit that a full name of this package belongs to; names of the package itself: ``""``."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else ""


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What a module's source does against the layout, one sentence each."""
    unit = unit_of(module)
    found = []
    for name, line in imports(source, module, is_package=is_package):
        where = f"{module}, line {line}: imports {name}"
        root = name.split(".")[0]
        if root == PACKAGE:
            other = unit_of(name)
            if LAYERS[other] > LAYERS[unit]:
                found.append(f"{where}, which lies above it")
            abstract = any(_inside(name, each) for each in ABSTRACT_MODEL)
            if unit == "inference" and other == "models" and not abstract:
                found.append(f"{where}; of models it may know {' and '.join(ABSTRACT_MODEL)} only")
        if root in ARVIZ and unit not in ARVIZ_UNITS:
            found.append(f"{where}; ArviZ and xarray belong to {sorted(ARVIZ_UNITS)}")
        if root == "pyro" and unit == "nn":
            found.append(f"{where}; nn is plain torch")
    if unit != "models":
        found += [
            f"{module}, line {line}: a sample site outside models" for line in sample_sites(source)
        ]
    return found


def sample_sites(source: str) -> Iterator[int]:
    """The lines on which ``pyro.sample`` or ``PyroSample`` is used, under whatever name."""
    tree = ast.parse(source)
    pyros = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "pyro"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _SITES:
            dotted = ast.unparse(node.value)
            if dotted in pyros or (node.attr == "PyroSample" and dotted.split(".")[0] in pyros):
                yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module in {"pyro", "pyro.nn"}:
            yield from (node.lineno for alias in node.names if alias.name in _SITES)


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """The units that reach themselves through other units."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = set(arrows[start])
        while waiting:
            unit = waiting.pop()
            seen.add(unit)
            waiting |= arrows[unit] - seen
        return seen

    return sorted(unit for unit in arrows if unit in reached(unit))


def _floor(name: str, unit: str) -> tuple[int, str]:
    """The floor of the unit that a full name of it is on, and its folder or module."""
    part = [*name.split("."), ""][2]
    part = part if any(part in floor for floor in FLOORS[unit]) else ""
    return next(number for number, floor in enumerate(FLOORS[unit]) if part in floor), part


@pytest.mark.parametrize("unit", FLOORS)
def test_units_have_floors(unit):
    wrong, found = [], set()
    for module, path in MODULES:
        if unit_of(module) != unit:
            continue
        floor, own = _floor(module, unit)
        found.add([*module.split("."), ""][2])
        source = path.read_text(encoding="utf-8")
        for name, line in imports(source, module, is_package=path.name == "__init__.py"):
            if _inside(name, f"{PACKAGE}.{unit}"):
                below, other = _floor(name, unit)
                if other != own and below >= floor:
                    wrong.append(f"{module}, line {line}: {name}")
    assert wrong == []
    assert found == set().union(*FLOORS[unit])


def _inside(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def _modules() -> list[tuple[str, Path]]:
    """Every module of the package by its full name."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = [PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


MODULES: Final = _modules()


def test_the_package_is_found():
    assert {"bayes_hybrid.errors", "bayes_hybrid.data.tables"} <= {name for name, _ in MODULES}


def test_every_unit_has_a_layer():
    units = {path.relative_to(ROOT).parts[0].removesuffix(".py") for _, path in MODULES}
    assert units - {"__init__"} <= set(LAYERS)


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_arrows_point_down(module: str, path: Path):
    source = path.read_text(encoding="utf-8")
    assert not violations(source, module, is_package=path.name == "__init__.py")


def test_no_circles_between_units():
    arrows: dict[str, set[str]] = {unit: set() for unit in LAYERS}
    for module, path in MODULES:
        source = path.read_text(encoding="utf-8")
        for name, _ in imports(source, module, is_package=path.name == "__init__.py"):
            if name.split(".")[0] == PACKAGE and unit_of(name) != unit_of(module):
                arrows[unit_of(module)].add(unit_of(name))
    assert circles(arrows) == []


# The checker itself


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bayes_hybrid.errors", "import bayes_hybrid.checks as c\nfrom bayes_hybrid import data"),
        ("bayes_hybrid.models.mixture", "from bayes_hybrid.inference.guides.svi import step"),
        ("bayes_hybrid.models.mixture", "from bayes_hybrid import inference"),
        ("bayes_hybrid.models.mixture", "from ..inference import svi"),
        ("bayes_hybrid.models.mixture", "def f():\n    from bayes_hybrid import load"),
        ("bayes_hybrid.inference.guides.svi", "import bayes_hybrid.cli"),
        ("bayes_hybrid.inference.guides.svi", "from bayes_hybrid.models import HybridMixture"),
        (
            "bayes_hybrid.inference.guides.svi",
            "from bayes_hybrid.models.mixture import HybridMixture",
        ),
        ("bayes_hybrid.inference.guides.svi", "import bayes_hybrid.models"),
        ("bayes_hybrid.inference.guides.svi", "from bayes_hybrid.models.baseline import Other"),
        ("bayes_hybrid.inference.result", "import xarray as xr"),
        ("bayes_hybrid.data.tables", "from arviz_base import from_dict"),
        ("bayes_hybrid.nn.relu", "import pyro.distributions as dist"),
        ("bayes_hybrid.gates", "import pyro\npyro.sample('z', None)"),
        ("bayes_hybrid.gates", "import pyro as p\np.sample('z', None)"),
        ("bayes_hybrid.gates", "from pyro import sample"),
        ("bayes_hybrid.inference.guides.svi", "from pyro.nn import PyroSample"),
        ("bayes_hybrid.inference.guides.block", "import pyro\npyro.sample('z', None)"),
        ("bayes_hybrid.inference.guides.svi", "import pyro\npyro.nn.PyroSample(None)"),
    ],
)
def test_a_planted_violation_is_caught(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bayes_hybrid.models.mixture", "from bayes_hybrid.nn import ReLUBlock"),
        ("bayes_hybrid.models.mixture", "from .base import HybridModel\nfrom .. import errors"),
        ("bayes_hybrid.models.mixture", "import pyro\npyro.sample('z', None)"),
        ("bayes_hybrid.inference.guides.svi", "from bayes_hybrid.models.base import HybridModel"),
        ("bayes_hybrid.inference.guides.svi", "from bayes_hybrid.models import base"),
        (
            "bayes_hybrid.inference.guides.svi",
            "import pyro\npyro.plate('rows', 3)\nposterior.sample()",
        ),
        ("bayes_hybrid.diagnostics.export", "import xarray\nfrom arviz_base import from_dict"),
        ("bayes_hybrid.cli.fit", "from bayes_hybrid import __version__, load"),
        ("bayes_hybrid", "from bayes_hybrid.estimator import HybridRegressor"),
    ],
)
def test_an_honest_import_passes(module, source):
    assert violations(source, module) == []


def test_relative_imports_of_a_package_are_resolved():
    found = violations("from ..cli import main", "bayes_hybrid.models", is_package=True)
    assert found == [
        "bayes_hybrid.models, line 1: imports bayes_hybrid.cli.main, which lies above it"
    ]


def test_a_planted_circle_is_caught():
    arrows = {
        "plots": {"report"},
        "report": {"estimator"},
        "estimator": {"plots"},
        "cli": {"plots"},
    }
    assert circles(arrows) == ["estimator", "plots", "report"]
    assert circles({"cli": {"plots"}, "plots": set()}) == []
