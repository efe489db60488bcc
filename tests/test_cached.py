"""Cached values hold no lock: not while they are computed, nor across a fork."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bayes_hybrid.cached import cached_property
from bayes_hybrid.random import process_state


class _Slow:
    def __init__(self, work):
        self._work = work

    @cached_property
    def value(self):
        return self._work()


def test_two_objects_are_computed_at_the_same_time():
    """With a lock for the class the second would wait for the first, and break the barrier."""
    both = threading.Barrier(2, timeout=20.0)
    objects = [_Slow(both.wait) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(lambda each: each.value, objects)) == [0, 1]


def test_it_is_computed_once():
    calls = []
    each = _Slow(lambda: calls.append(1))
    assert [each.value, each.value] == [None, None]
    assert calls == [1]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_waits_for_the_process_state():
    """Else the child would have half of another thread's changes, and nobody to put them back."""
    inside, order = threading.Event(), []

    def busy():
        with process_state():
            inside.set()
            threading.Event().wait(0.3)
            order.append("put back")

    thread = threading.Thread(target=busy)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a child that waits for a thread it does not have is a failure, too
        free = order == ["put back"]
        with process_state():  # and is free there
            os._exit(0 if free else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
