"""What holds for the whole repository: no machine's own paths, imports without side effects."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
INIT_FILES: Final = sorted((ROOT / "bayes_hybrid").rglob("__init__.py"))

# Home and project folders of a machine; a path inside an address (site/home/...) or after a dot
# (../work/...) is none.
_FOLDERS: Final = ("work", "root", "home", "opt", "Users")
_ABSOLUTE: Final = re.compile(rf"(?<![\w.)\]}}~*-])/(?:{'|'.join(_FOLDERS)})/[\w.]")


def absolute_paths(text: str) -> list[str]:
    """The lines that hold an absolute path."""
    return [line.strip() for line in text.splitlines() if _ABSOLUTE.search(line)]


def _repository_files() -> list[Path]:
    """What git tracks, or would track after ``git add``."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this copy is no git repository")
    files = [ROOT / name for name in names.stdout.split("\0") if name]
    return [path for path in files if path.is_file()]


def test_no_absolute_paths():
    found = []
    for path in _repository_files():
        content = path.read_bytes()
        # A zero byte marks a picture or another binary file, as git itself decides.
        if b"\0" not in content:
            name = path.relative_to(ROOT)
            found += [f"{name}: {line}" for line in absolute_paths(content.decode("utf-8"))]
    assert found == []


@pytest.mark.parametrize("folder", _FOLDERS)
@pytest.mark.parametrize("before", ["", '"', "'", "`", " ", "=", "(", ":", ">"])
def test_an_absolute_path_is_caught(before, folder):
    assert absolute_paths(f"x\n{before}/{folder}/main/data.csv")


@pytest.mark.parametrize(
    "line",
    ["https://example.org/home/page", "../work/data.csv", "docs/opt/x", "~/work/x", "a /work/ b"],
)
def test_other_paths_pass(line):
    assert absolute_paths(line) == []


def computing_statements(source: str, *, lazy: bool) -> list[str]:
    """What an ``__init__`` file does besides docstring, imports and literal names.

    Args:
        source: the text of the file.
        lazy: whether it may define the module functions ``__getattr__`` and ``__dir__``, through
            which the package loads its heavy parts on first use.
    """
    return [
        ast.unparse(node).splitlines()[0]
        for node in ast.parse(source).body
        if not (_is_declaration(node) or (lazy and _is_lazy_loading(node)))
    ]


def _is_declaration(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            return not any(isinstance(part, ast.Call) for part in ast.walk(value))
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _is_lazy_loading(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name in {"__getattr__", "__dir__"}


@pytest.mark.parametrize("path", INIT_FILES, ids=lambda path: path.parent.name)
def test_init_files_compute_nothing(path: Path):
    lazy = path.parent.name == "bayes_hybrid"
    assert computing_statements(path.read_text(encoding="utf-8"), lazy=lazy) == []


def test_a_computing_init_file_is_caught():
    source = "'''Doc.'''\nimport torch\n__all__ = ['a']\ntorch.set_num_threads(1)\nx = f()\n"
    assert computing_statements(source, lazy=False) == ["torch.set_num_threads(1)", "x = f()"]
    lazy = "def __getattr__(name): ...\ndef other(): ..."
    assert computing_statements(lazy, lazy=True) == ["def other():"]
    assert len(computing_statements(lazy, lazy=False)) == 2


# Run in a process of its own, because this one has imported the package already.  Third-party
# packages come first: what they change when they are imported is not ours.
_IMPORT_ALL: Final = """
import ast, importlib, json, pathlib, random, warnings
import numpy, pyro, torch

ours, theirs = [], []
for path in sorted(pathlib.Path("bayes_hybrid").rglob("*.py")):
    ours.append(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            theirs += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            theirs.append(node.module)
for name in theirs:
    if name.split(".")[0] != "bayes_hybrid":
        importlib.import_module(name)
# zuko's import turns it off, and a change that is there already would not show.
torch.distributions.Distribution.set_default_validate_args(True)

def state():
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "torch seed": torch.initial_seed(),
        "torch validation": torch.distributions.Distribution._validate_args,
        "pyro settings": pyro.settings.get(),
        "pyro parameters": sorted(pyro.get_param_store().keys()),
        "numpy errors": numpy.geterr(),
        "numpy printing": numpy.get_printoptions(),
        "numpy random": numpy.random.get_state()[1].tolist(),
        "python random": random.getstate(),
        "warnings": list(warnings.filters),
    }

def changed(before):
    after = {name: str(value) for name, value in state().items()}
    return [name for name in before if before[name] != after[name]]

before = {name: str(value) for name, value in state().items()}
for name in ours:
    if not name.endswith("__main__"):
        importlib.import_module(name)
by_importing = changed(before)
PLANTED
print(json.dumps([by_importing, changed(before)]))
"""


@pytest.mark.slow
def test_importing_changes_nothing_global_and_planted_changes_are_caught():
    planted = {
        "default dtype": "torch.set_default_dtype(torch.float64)",
        "threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
        "gradients": "torch.set_grad_enabled(False)",
        "torch seed": "torch.manual_seed(1)",
        "torch validation": "torch.distributions.Distribution.set_default_validate_args(False)",
        "pyro settings": "pyro.settings.set(module_local_params=True)",
        "pyro parameters": "pyro.param('a', torch.zeros(1))",
        "numpy errors": "numpy.seterr(all='ignore')",
        "numpy printing": "numpy.set_printoptions(precision=3)",
        "numpy random": "numpy.random.seed(0)",
        "python random": "random.seed(0)",
        "warnings": "warnings.simplefilter('ignore')",
    }
    code = _IMPORT_ALL.replace("PLANTED", "\n".join(planted.values()))
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == [[], list(planted)]
