"""The collector is relaxed while the server starts, and as it was afterwards."""

import gc

import pytest

from mlgate.serving.garbage import BOOT_THRESHOLD, relax


@pytest.fixture(autouse=True)
def _collector():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_it_collects_rarely_and_then_as_before():
    """What is there at the end is taken out of later collections."""
    before = gc.get_threshold()
    settle = relax()
    assert gc.get_threshold()[0] == BOOT_THRESHOLD
    settle()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() > 0


def test_thresholds_that_a_model_sets_while_it_loads_stay():
    """They are the model's decision."""
    settle = relax()
    gc.set_threshold(123, 4, 5)
    settle()
    assert gc.get_threshold() == (123, 4, 5)


@pytest.mark.parametrize("thresholds", [(0, 10, 10), (10**6, 10, 10)])
def test_a_collector_that_is_off_or_rarer_still_is_left_so(thresholds):
    """Nothing is made to collect more often."""
    gc.set_threshold(*thresholds)
    settle = relax()
    assert gc.get_threshold()[0] == thresholds[0]
    settle()
    assert gc.get_threshold()[0] == thresholds[0]


def test_garbage_is_still_bounded():
    """Cycles that a load makes are collected, only later."""

    class Node:
        """Part of a cycle."""

        alive = 0

        def __init__(self):
            Node.alive += 1
            self.me = self

        def __del__(self):
            Node.alive -= 1

    settle = relax()
    for _ in range(4 * BOOT_THRESHOLD):
        Node()
    assert Node.alive < 2 * BOOT_THRESHOLD
    settle()
