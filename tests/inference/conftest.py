"""Pyro's parameter store and torch's generator are global: each test gets its own."""

import pyro
import pytest
import torch

from bayes_hybrid.inference.engine import recorder


@pytest.fixture(autouse=True)
def _own_globals():
    with pyro.get_param_store().scope(), torch.random.fork_rng():
        pyro.set_rng_seed(0)
        yield


@pytest.fixture
def built(monkeypatch):
    """The graphs that would have been compiled; they run as they are."""
    graphs = []

    def compile_graph(graph, _arguments):
        graphs.append(graph)
        return graph

    monkeypatch.setattr(recorder, "compile_graph", compile_graph)
    return graphs
