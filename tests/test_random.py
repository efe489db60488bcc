import json

import numpy as np
import pytest
import torch

from bayes_hybrid.errors import OptionError
from bayes_hybrid.random import (
    SEED_LIMIT,
    STREAMS,
    resolve_seed,
    seeded,
    spawn_seeds,
    stream_seed,
    torch_generator,
)


def test_spawned_seeds_repeat_and_differ():
    seeds = spawn_seeds(3, 1000)
    assert seeds == spawn_seeds(3, 1000)
    assert seeds != spawn_seeds(4, 1000)
    # Seed 3 is fixed, so this holds always or never; by chance 1,000 seeds collide with
    # probability 1e-4.
    assert len(set(seeds)) == 1000


def test_a_longer_list_starts_with_the_shorter():
    assert spawn_seeds(0, 8)[:3] == spawn_seeds(0, 3)


def test_spawned_seeds_fit_every_user():
    for seed in spawn_seeds(2**40, 20):
        assert type(seed) is int
        assert 0 <= seed < SEED_LIMIT
        assert json.loads(json.dumps(seed)) == seed
        np.random.RandomState(seed)
        torch_generator(seed, "cpu")


@pytest.mark.parametrize("seed", [-1, 1.5, None, "0", True])
def test_spawn_refuses_seeds(seed):
    with pytest.raises(OptionError, match="seed must be an integer >= 0"):
        spawn_seeds(seed, 2)


@pytest.mark.parametrize("count", [0, -1, 1.5, None])
def test_spawn_refuses_counts(count):
    with pytest.raises(OptionError, match="count must be an integer >= 1"):
        spawn_seeds(0, count)


def test_torch_generator_is_its_own():
    before = torch.get_rng_state()
    first = torch.randn(5, generator=torch_generator(11, "cpu"))
    again = torch.randn(5, generator=torch_generator(11, torch.device("cpu")))
    other = torch.randn(5, generator=torch_generator(12, "cpu"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("seed", [-1, SEED_LIMIT, 0.5])
def test_torch_generator_refuses_seeds(seed):
    with pytest.raises(OptionError, match="seed must be an integer"):
        torch_generator(seed, "cpu")


@pytest.mark.parametrize("seed", [0, 7, np.int64(7), np.uint32(7), SEED_LIMIT - 1])
def test_an_integer_is_its_own_seed(seed):
    resolved = resolve_seed(seed)
    assert resolved == seed
    assert type(resolved) is int


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_gives_one_seed_after_another(make):
    generator = make(5)
    first, second = resolve_seed(generator), resolve_seed(generator)
    assert first != second
    assert first == resolve_seed(make(5))
    assert 0 <= first < SEED_LIMIT
    # Half of all seeds need the 32nd bit: 60 of them all without it has probability 2**-60.
    assert max(resolve_seed(generator) for _ in range(60)) >= SEED_LIMIT // 2


def test_none_gives_a_fresh_seed():
    # Ten equal seeds by chance: 2**-288.
    assert len({resolve_seed(None) for _ in range(10)}) > 1


def test_global_numpy_state_is_untouched():
    before = str(np.random.get_state(legacy=False))  # noqa: NPY002
    resolve_seed(None)
    spawn_seeds(0, 3)
    assert before == str(np.random.get_state(legacy=False))  # noqa: NPY002


@pytest.mark.parametrize("state", ["0", 1.5, True, [1], torch.Generator()])
def test_other_random_states_are_refused(state):
    with pytest.raises(OptionError, match="random_state must be an integer, a numpy Generator"):
        resolve_seed(state)


@pytest.mark.parametrize("state", [-1, SEED_LIMIT])
def test_random_states_out_of_range_are_refused(state):
    with pytest.raises(OptionError, match="random_state must be an integer"):
        resolve_seed(state)


def test_seeded_touches_one_device_only(monkeypatch):
    def fail(*_):
        raise AssertionError("seeded another device")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", fail)
    before = torch.get_rng_state()
    with seeded(3, torch.device("cpu")):
        first = torch.rand(2)
    assert torch.equal(before, torch.get_rng_state())
    with seeded(3, torch.device("cpu")):
        assert torch.equal(first, torch.rand(2))


def test_streams_have_numbers_of_their_own():
    seeds = {name: stream_seed(3, name) for name in STREAMS}
    assert len(set(seeds.values())) == len(STREAMS)
    # A new stream comes last: the others keep their numbers.
    assert tuple(seeds.values()) == spawn_seeds(3, len(STREAMS) + 4)[: len(STREAMS)]
    with pytest.raises(OptionError, match="name"):
        stream_seed(3, "hmc")
