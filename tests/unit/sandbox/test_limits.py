"""Limits in words."""

import pytest

from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.limits import Counters, limits_met

LIMITS = ServerLimits(pids=128, tmp_size=32 << 20)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", "no more processes or threads could be created (limit 128)"),
        ("RuntimeError: can't start new thread", "no more processes or threads could be created (limit 128)"),
        ("OSError: [Errno 28] No space left on device: '/tmp/x'", "/tmp is full (32 MiB)"),
        ("<urlopen error [Errno 101] Network is unreachable>", "the sandbox has no network"),
        ("gaierror: [Errno -3] Temporary failure in name resolution", "the sandbox has no network"),
        ("OSError: [Errno 30] Read-only file system: '/model/cache'", "only /tmp can be written"),
    ],
)  # fmt: skip
def test_a_limit_is_named_by_what_the_model_said_of_it(said, words):
    """A person reads the limit, not the error's number."""
    assert limits_met(said, limits=LIMITS, counted=Counters()) == (words,)


def test_a_limit_is_named_by_the_kernels_count_alone():
    """A model may swallow the error."""
    counted = Counters(refused_forks=3, tmp_free=0)
    assert len(limits_met("no comment", limits=LIMITS, counted=counted)) == 2


def test_no_limit_is_named_for_an_ordinary_error():
    """Also where the counters can not be read."""
    assert limits_met("KeyError: 'plan'", limits=LIMITS, counted=Counters(tmp_free=1)) == ()
    assert limits_met("KeyError: 'plan'", limits=LIMITS, counted=Counters(tmp_free=None)) == ()


def test_an_unreachable_network_is_not_the_sandboxes_where_it_has_one():
    """The process sandbox is on the host's."""
    assert limits_met("[Errno 101] Network is unreachable", limits=LIMITS, counted=Counters(), network=True) == ()
