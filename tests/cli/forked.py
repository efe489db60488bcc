"""Commands in processes of their own, forked from one that has imported the package.

An import takes seconds, and a fork has it done.  Each process ends as any other does: the
interpreter writes what is left in its buffers, and the exit code is the command's.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple, Self

__all__ = ["CLOSED", "Ended", "Forks"]

CLOSED: Final = "closed"
"""Standard output that nobody reads any more."""

_FORKS: Final = """
import importlib, json, os, pkgutil, signal, sys
import bayes_hybrid.cli, h5netcdf, torch._dynamo
for module in pkgutil.walk_packages(bayes_hybrid.__path__, "bayes_hybrid."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

for line in sys.stdin:
    case = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
signal.alarm(120)
for number, where in ((1, case["stdout"]), (2, case["stderr"])):
    if where == "closed":
        read, write = os.pipe()
        os.close(read)
    else:
        write = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(write, number)
sys.argv = ["bayes-hybrid", *case["arguments"]]
exec(case["code"])
"""


class Ended(NamedTuple):
    """Exit code of a process, and what it wrote where no other place was named."""

    code: int
    stdout: bytes
    stderr: bytes


class Forks:
    """The process that forks."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _FORKS],
            env={**os.environ, "BAYES_HYBRID_QUICK": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)
        self._folder.cleanup()

    def run(
        self,
        *arguments: object,
        stdout: str | None = None,
        stderr: str | None = None,
        code: str = "bayes_hybrid.cli.main()",
    ) -> Ended:
        """How a command ends.

        Args:
            arguments: of the command line.
            stdout: path for standard output, or ``CLOSED``.
            stderr: path for standard error.
            code: Python that a process runs which has the arguments in ``sys.argv``.
        """
        out, err = (Path(self._folder.name, name) for name in ("out", "err"))
        for path in (out, err):
            path.write_bytes(b"")
        case = {
            "arguments": [str(argument) for argument in arguments],
            "stdout": stdout or str(out),
            "stderr": stderr or str(err),
            "code": code,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(case), file=self._process.stdin, flush=True)
        ended = int(self._process.stdout.readline())
        return Ended(ended, out.read_bytes(), err.read_bytes())
