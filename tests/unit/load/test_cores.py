"""Who runs on which core."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load.cores import place


def test_two_cores_are_enough_for_a_server_of_one():
    """The generator has the first, the server the other."""
    plan = place({0, 1}, workers=1, server_cpus=1.0)
    assert (plan.generator, plan.server, plan.reason) == ((0,), (1,), "")
    assert plan.pinned


def test_the_server_gets_all_that_the_generator_leaves():
    """More than its limit asks for: the limit holds it. Cores that this process may not use are nobody's."""
    plan = place([7, 2, 3, 5], workers=1, server_cpus=1.5)
    assert (plan.generator, plan.server) == ((2,), (3, 5, 7))


@pytest.mark.parametrize(
    ("cores", "workers", "cpus", "reason"),
    [
        (1, 1, 1.0, "1 core for a server of 1 CPU and a generator: not pinned"),
        (1, 1, 0.0, "1 core for a server of 0 CPUs and a generator: not pinned"),
        (2, 1, 2.0, "2 cores for a server of 2 CPUs and a generator: not pinned"),
        (2, 1, 1.5, "2 cores for a server of 1.5 CPUs and a generator: not pinned"),
        (4, 3, 2.0, "4 cores for a server of 2 CPUs and a generator of 3 processes: not pinned"),
    ],
)
def test_too_few_cores_pin_nobody_and_say_why(cores, workers, cpus, reason):
    """A server squeezed onto fewer cores than its limit would be measured as something that it is not."""
    plan = place(range(cores), workers=workers, server_cpus=cpus)
    assert (plan.generator, plan.server, plan.reason) == (None, None, reason)
    assert not plan.pinned


@given(
    cores=st.sets(st.integers(0, 255), max_size=64),
    workers=st.integers(1, 16),
    cpus=st.floats(0.1, 64, allow_nan=False),
)
def test_nobody_shares_a_core_or_gets_too_few(cores, workers, cpus):
    """Either both have what they need, of cores that are there, or a reason is given."""
    plan = place(cores, workers=workers, server_cpus=cpus)
    if plan.generator is None or plan.server is None:
        assert plan.generator is plan.server is None
        assert plan.reason
        return
    assert not set(plan.generator) & set(plan.server)
    assert set(plan.generator) | set(plan.server) == cores
    assert len(plan.generator) == workers
    assert len(plan.server) >= cpus
    assert plan.reason == ""
