"""One launch in place of many; on a stand-in for CUDA where there is no GPU."""

from contextlib import contextmanager, nullcontext

import pytest
import torch

from bayes_hybrid.errors import FitError
from bayes_hybrid.inference.engine import recorder
from bayes_hybrid.inference.engine.capture import Captured
from bayes_hybrid.inference.engine.recorder import Recorder

_HAS_GPU = torch.cuda.is_available()


class _Stream:
    def __init__(self, device=None):
        pass

    def wait_stream(self, other):
        pass


class _Graph:
    """What CUDA does: no kernel runs while it is captured, and all run at their addresses later."""

    def __init__(self):
        self.kernels = []

    def replay(self):
        for kernel in self.kernels:
            kernel()


class _Stand:
    """A function whose work is noted down, not done, while a graph is captured."""

    def __init__(self, function):
        self.function, self.graph, self.calls = function, None, 0

    def __call__(self, *arguments):
        self.calls += 1
        results = self.function(*arguments)
        if self.graph is not None:
            places = [torch.full_like(result, float("nan")) for result in results]

            def kernel():
                for place, result in zip(places, self.function(*arguments), strict=True):
                    place.copy_(result)

            self.graph.kernels.append(kernel)
            return places
        return results

    @contextmanager
    def capturing(self, graph, stream):
        assert isinstance(stream, _Stream)
        self.graph = graph
        yield
        self.graph = None


@pytest.fixture
def stand(monkeypatch):
    """``(x, y) -> (x + y, x * y)`` on a stand-in for CUDA."""
    stand = _Stand(lambda x, y: (x + y, x * y))
    monkeypatch.setattr(torch.cuda, "Stream", _Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", _Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", _Graph)
    monkeypatch.setattr(torch.cuda, "graph", stand.capturing)
    return stand


def test_a_launch_gives_what_the_function_gives(stand):
    launch = Captured(stand, [torch.ones(3), torch.arange(3.0)])
    assert stand.calls == 5  # three to warm up, one captured, one to compare with
    first = launch(torch.full((3,), 2.0), torch.tensor([1.0, 2.0, 3.0]))
    second = launch(torch.zeros(3), torch.tensor([4.0, 5.0, 6.0]))
    # The first results are the caller's, and stay when the next launch writes over its own.
    assert [part.tolist() for part in first] == [[3.0, 4.0, 5.0], [2.0, 4.0, 6.0]]
    assert [part.tolist() for part in second] == [[4.0, 5.0, 6.0], [0.0, 0.0, 0.0]]
    assert stand.calls == 5


def test_arguments_are_not_kept(stand):
    x, y = torch.ones(2), torch.ones(2)
    launch = Captured(stand, [x, y])
    launch(torch.full((2,), 5.0), torch.full((2,), 7.0))
    assert x.tolist() == y.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("results", ["none", "right"])
def test_a_launch_that_does_nothing_is_found_out(stand, monkeypatch, results):
    monkeypatch.setattr(_Graph, "replay", lambda _: None)
    if results == "right":
        # Kernels that ran while they should have been captured.
        monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: nullcontext())
    with pytest.raises(FitError, match="CUDA graph"):
        Captured(stand, [torch.ones(3), torch.arange(3.0)])


def test_the_function_lives_as_long_as_its_kernels(stand):
    launch = Captured(stand, [torch.ones(3), torch.arange(3.0)])
    assert launch._function is stand


class _OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    @property
    def device(self):
        return torch.device("cuda")


def test_without_a_compiler_the_record_is_captured(monkeypatch):
    monkeypatch.setattr(recorder, "_compile", lambda *_: None)
    monkeypatch.setattr(recorder, "Captured", lambda function, _: ("captured", function))
    record = Recorder(lambda x: (x + 1.0,))
    monkeypatch.setattr(record, "_look_up", lambda *_: "record")
    there = torch.ones(2).as_subclass(_OnGpu)
    assert record.compile(there) is True
    assert record.record(there) == ("captured", "record")
    assert record.compile(torch.ones(2)) is False


def test_what_cannot_be_captured_runs_compiled(monkeypatch):
    def fail(*_):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recorder, "_compile", lambda *_: "compiled")
    monkeypatch.setattr(recorder, "Captured", fail)
    record = Recorder(lambda x: (x + 1.0,))
    monkeypatch.setattr(record, "_look_up", lambda *_: "record")
    there = torch.ones(2).as_subclass(_OnGpu)
    with pytest.warns(RuntimeWarning, match="one by one.*not permitted"):
        assert record.compile(there) is True
    assert record.record(there) == "compiled"


@pytest.mark.gpu
@pytest.mark.skipif(not _HAS_GPU, reason="needs a GPU")
def test_a_gpu_launches_what_was_recorded():
    function = Recorder(lambda x: (x.square().sum(-1), 2.0 * x))
    x = torch.randn(4, 5, device="cuda")
    assert function.compile(x)
    other = torch.randn(4, 5, device="cuda")
    assert isinstance(function.record(x), Captured)
    value, gradient = function(other)
    torch.testing.assert_close(value, other.square().sum(-1))
    torch.testing.assert_close(gradient, 2.0 * other)
