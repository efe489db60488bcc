"""Record a function of tensors once, as a graph without the Python that made it.

``make_fx`` records what the function does to tensors, autograd included, with validation off.
Whatever changes between calls has to be an argument: a closed-over value is frozen into the graph.
"""

import gc
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pyro
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from bayes_hybrid.inference.simplify import mutates, simplify

# A fit needs at most three: its rows, a minibatch and a chunk.
_MAX_RECORDS: Final = 4


@contextmanager
def quiet_pyro() -> Iterator[None]:
    """Validation off inside, and exactly as it was outside.

    Validation branches on tensor values, which cannot be recorded; and ``torch.compile`` turns
    torch's switch off for the whole process when it is first used.
    """
    before = torch.distributions.Distribution._validate_args
    try:
        with pyro.validation_enabled(False):
            yield
    finally:
        torch.distributions.Distribution.set_default_validate_args(before)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without garbage collection: tracing makes objects by the million, and keeps most of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Recorder:
    """A function of tensors that is recorded at its first call for each shape of its arguments.

    The records of the last few shapes are kept: a window that grows by a row a day must not fill
    the memory.

    Args:
        function: from tensors to tensors; what it does may depend on their shapes, dtypes and
            devices, but not on their values.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Nothing is recorded yet."""
        self._function = function
        self._records: OrderedDict[tuple[Any, ...], Callable[..., Any]] = OrderedDict()
        self._compiled: set[tuple[Any, ...]] = set()

    def __call__(self, *arguments: Tensor) -> Any:  # noqa: ANN401
        """What the function gives."""
        return self.record(*arguments)(*arguments)

    def record(self, *arguments: Tensor) -> Callable[..., Any]:
        """The record for arguments of these shapes, to be called many times in a row."""
        key = _key(arguments)
        if key in self._records:
            self._records.move_to_end(key)
        else:
            self._records[key] = self._record(arguments)
            if len(self._records) > _MAX_RECORDS:
                self._compiled.discard(self._records.popitem(last=False)[0])
        return self._records[key]

    def compile(self, *arguments: Tensor) -> bool:
        """Record and compile the function for arguments of these shapes.

        Returns:
            Whether it is compiled.  Where ``torch.compile`` fails, most often for lack of a C++
            compiler, one warning says so and the record stays as it is.
        """
        key = _key(arguments)
        if key in self._compiled:
            return True
        compiled = _compile(self.record(*arguments), arguments)
        if compiled is None:
            return False
        self._records[key] = compiled
        self._compiled.add(key)
        return True

    def _record(self, arguments: tuple[Tensor, ...]) -> Callable[..., Any]:
        function = self._function
        # A plain function: make_fx counts a bound method's self as an input.
        with quiet_pyro(), _no_collection():
            record = make_fx(lambda *inputs: function(*inputs))(*arguments)
            if any(mutates(node) for node in record.graph.nodes):
                record = make_fx(torch.func.functionalize(record))(*arguments)
        return simplify(record)


def _key(arguments: tuple[Tensor, ...]) -> tuple[Any, ...]:
    return tuple((tuple(a.shape), a.dtype, a.device) for a in arguments)


def _compile(graph: Callable[..., Any], arguments: tuple[Tensor, ...]) -> Callable[..., Any] | None:
    """The compiled graph, already run once, or ``None`` and a warning."""
    try:
        with quiet_pyro(), _no_collection():
            compiled: Callable[..., Any] = torch.compile(
                graph, fullgraph=True, dynamic=False, options=_compile_options()
            )
            compiled(*arguments)
    except Exception as error:  # a missing compiler surfaces as many types
        first_line = (str(error).splitlines() or [""])[0]
        warnings.warn(
            "torch.compile failed, so fits run the recorded graph as it is: slower, and the same "
            "up to rounding. "
            f"It needs a C++ compiler. {type(error).__name__}: {first_line}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return compiled


def _compile_options() -> dict[str, Any]:
    """Settings that make one small graph quick to compile, of those that this torch knows.

    A precompiled header and trial compilations of every vector instruction set pay over many
    graphs; for one they take two thirds of the time.
    """
    wanted = {"cpp_cache_precompile_headers": False, "cpp.vec_isa_ok": True}
    known = set(torch._inductor.list_options())
    return {name: value for name, value in wanted.items() if name in known}
