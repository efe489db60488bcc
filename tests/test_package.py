"""What is released can be installed and used: wheel and source distribution."""

import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

import bayes_hybrid

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow

_USE = """
from pathlib import Path
import bayes_hybrid
from bayes_hybrid import FitOptions, HybridRegressor, Pathway, Variational, WarmStart
from bayes_hybrid.data import load_motorcycle
from bayes_hybrid.report import write_report
table = load_motorcycle()
options = FitOptions(
    num_restarts=2,
    warm_start=WarmStart(max_steps=20),
    variational=Variational(num_steps=10, kl_weights=(0.0,), num_draws=50),
    sampler=None,
    compile="never",
)
experts = Pathway("gaussian", num_units=4), Pathway("relu", num_units=4)
reg = HybridRegressor(experts=experts, fit_options=options, random_state=0, progress=False)
write_report(reg.fit(table[["times"]], table["accel"]), "report.html")
print(bayes_hybrid.__file__, Path("report.html").stat().st_size)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def test_the_wheel_works_in_an_environment_of_its_own(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"bayes_hybrid-{bayes_hybrid.__version__}-py3-none-any.whl"
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    # The dependencies are those of this environment; what is looked up first is the wheel.
    Path(purelib, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", str(wheel)],
        check=True,
        capture_output=True,
    )
    done = subprocess.run(
        [python, "-W", "ignore", "-c", _USE],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    file, size = done.stdout.split()[-2:]
    assert Path(file).is_relative_to(purelib)
    assert int(size) > 100_000
    version = subprocess.run(
        [python.with_name("bayes-hybrid"), "--version"], check=True, capture_output=True, text=True
    )
    assert version.stdout == f"bayes-hybrid {bayes_hybrid.__version__}\n"


def test_the_source_distribution_can_be_built_and_tested(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in source.getnames()}
    needed = (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "Makefile",
        "constraints.txt",
    )
    assert {*needed, "bayes_hybrid/__init__.py", "bayes_hybrid/py.typed"} <= names
    assert any(name.startswith("tests/") for name in names)


def test_versions_agree():
    assert f"\nversion: {bayes_hybrid.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f'\nversion = "{bayes_hybrid.__version__}"\n' in (ROOT / "pyproject.toml").read_text()
    assert f"\n## [{bayes_hybrid.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
