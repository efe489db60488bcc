"""Record a function of tensors once, as a graph without the Python that made it.

``make_fx`` records what the function does to tensors, autograd included, with validation off.
Whatever changes between calls has to be an argument: a closed-over value is frozen into the graph.
"""

import gc
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

import pyro
import torch
from pyro.poutine.runtime import _DIM_ALLOCATOR, _PYRO_STACK
from torch import Tensor
from torch._guards import TracingContext, tracing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from bayes_hybrid.errors import BayesHybridError
from bayes_hybrid.inference.engine.capture import Captured
from bayes_hybrid.inference.engine.simplify import mutates, simplify
from bayes_hybrid.random import process_state

# Settings that make one small graph quick to compile: a precompiled header and trial compilations
# of every vector instruction set pay over many graphs; for one they take two thirds of the time.
_OPTIONS: Final = {"cpp_cache_precompile_headers": False, "cpp.vec_isa_ok": True}
# A fit needs at most four: its rows, a minibatch, regularised or not, and a chunk.
_MAX_RECORDS: Final = 4
_PLATES: Final[list[Any]] = _DIM_ALLOCATOR._stack
# How many of `quiet_pyro` are open, one in another; whoever counts holds `process_state`.
_depth = 0


@contextmanager
def quiet_pyro() -> Iterator[None]:
    """Validation off inside, and exactly as it was outside.

    Validation branches on tensor values, which cannot be recorded; and ``torch.compile`` turns
    torch's switch off for the whole process when it is first used.  Whoever runs a Pyro program
    does so in here, because threads share Pyro's stack of handlers as they share the switches.
    Handlers and plates that the caller is inside of are none of the program's business.
    """
    global _depth
    with process_state():
        before = torch.distributions.Distribution._validate_args
        around = [] if _depth else [(stack, stack[:]) for stack in (_PYRO_STACK, _PLATES)]
        for stack, entries in around:
            del stack[: len(entries)]
        _depth += 1
        try:
            with pyro.validation_enabled(False):
                yield
        except BayesHybridError as error:
            # Pyro's tracer raises a refusal again, with the shapes of all sites below it.
            if isinstance(error.__cause__, BayesHybridError):
                raise error.__cause__ from None
            raise
        finally:
            _depth -= 1
            for stack, entries in around:
                stack[:0] = entries
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


def _one_fake_mode() -> AbstractContextManager[object]:
    """One fake mode for a whole record: without it, torch makes one for every tensor recorded."""
    return tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True)))


class Recorder:
    """A function of tensors that is recorded at its first call for each shape of its arguments.

    The records of the last few shapes are kept: a window that grows by a row a day must not fill
    the memory.  Threads take turns at recording and compiling; what is recorded they run freely.

    Args:
        function: from tensors to tensors; what it does may depend on their shapes, dtypes and
            devices, but not on their values.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Nothing is recorded yet."""
        self._function = function
        self._records: OrderedDict[tuple[Any, ...], GraphModule] = OrderedDict()
        # And the number of threads that each was compiled for.
        self._compiled: dict[tuple[Any, ...], tuple[Callable[..., Any], int]] = {}

    def __call__(self, *arguments: Tensor) -> Any:  # noqa: ANN401
        """What the function gives."""
        return self.record(*arguments)(*arguments)

    def record(self, *arguments: Tensor) -> Callable[..., Any]:
        """The record for arguments of these shapes, to be called many times in a row."""
        key = _key(arguments)
        record = self._look_up(key, arguments)
        compiled = self._compiled.get(key)
        return record if compiled is None else compiled[0]

    def compile(self, *arguments: Tensor) -> bool:
        """Record and compile the function for arguments of these shapes.

        Compiled code keeps the number of threads; under another one it is compiled anew.  On a GPU
        its kernels are captured, so that a call is one launch; where compiling fails, the record's.

        Returns:
            Whether it is compiled or captured.  Where compiling fails, most often for lack of a
            C++ compiler, one warning says so and the record stays as it is.
        """
        key, threads = _key(arguments), torch.get_num_threads()
        with process_state():
            record = self._look_up(key, arguments)
            if key in self._compiled and self._compiled[key][1] == threads:
                return True
            quick = _compile(record, arguments)
            if all(argument.device.type == "cuda" for argument in arguments):
                quick = _capture(quick or record, arguments) or quick
            if quick is None:
                return False
            self._compiled[key] = quick, threads
        return True

    def _look_up(self, key: tuple[Any, ...], arguments: tuple[Tensor, ...]) -> GraphModule:
        record = self._records.get(key)
        if record is not None:
            with suppress(KeyError):  # another thread has just dropped it
                self._records.move_to_end(key)
            return record
        with process_state():
            if key not in self._records:
                self._records[key] = self._record(arguments)
                if len(self._records) > _MAX_RECORDS:
                    self._compiled.pop(self._records.popitem(last=False)[0], None)
            return self._records[key]

    def _record(self, arguments: tuple[Tensor, ...]) -> GraphModule:
        function = self._function
        # A plain function: make_fx counts a bound method's self as an input.
        with quiet_pyro(), _no_collection(), _one_fake_mode():
            record = make_fx(lambda *inputs: function(*inputs))(*arguments)
            if any(mutates(node) for node in record.graph.nodes):
                record = make_fx(torch.func.functionalize(record))(*arguments)
        return simplify(record)


def _key(arguments: tuple[Tensor, ...]) -> tuple[Any, ...]:
    return tuple((tuple(a.shape), a.dtype, a.device) for a in arguments)


def _compile(graph: GraphModule, arguments: tuple[Tensor, ...]) -> Callable[..., Any] | None:
    """The compiled graph, already run once, or ``None`` and a warning."""
    try:
        with quiet_pyro(), _no_collection():
            compiled = compile_graph(graph, [argument.contiguous() for argument in arguments])
            compiled(*arguments)
    except Exception as error:  # a missing compiler surfaces as many types
        _warn(
            "torch.compile failed, so fits run the recorded graph: slower, and the same up to "
            "rounding. It needs a C++ compiler.",
            error,
        )
        return None
    return compiled


def _capture(function: Callable[..., Any], arguments: tuple[Tensor, ...]) -> Captured | None:
    """The function as one launch, or ``None`` and a warning."""
    try:
        with quiet_pyro():
            return Captured(function, arguments)
    except Exception as error:  # what cannot be captured surfaces as many types
        _warn("A CUDA graph could not be captured, so kernels are launched one by one.", error)
        return None


def _warn(text: str, error: Exception) -> None:
    first_line = (str(error).splitlines() or [""])[0]
    warnings.warn(f"{text} {type(error).__name__}: {first_line}", RuntimeWarning, stacklevel=3)


def compile_graph(graph: GraphModule, arguments: list[Any]) -> Callable[..., Any]:
    """What ``torch.compile`` makes of a graph, without its front end where this torch allows.

    The front end reads Python; a record is a graph already, and reading it again takes a second.
    Its guards take a tenth of a millisecond a call, and look for what a recorder knows: shapes,
    dtypes and devices.  Strides are the exception, so all arguments are made contiguous.
    """
    import torch._inductor as inductor

    known = set(inductor.list_options())
    options: dict[str, Any] = {name: _OPTIONS[name] for name in _OPTIONS if name in known}
    if not hasattr(inductor, "standalone_compile"):  # torch < 2.8
        compiled: Callable[..., Any] = torch.compile(
            graph, fullgraph=True, dynamic=False, options=options
        )
        return compiled
    artifact = inductor.standalone_compile(
        graph,
        arguments,
        dynamic_shapes="from_example_inputs",
        options={"config_patches": options},
    )
    return lambda *inputs: artifact(*[tensor.contiguous() for tensor in inputs])
