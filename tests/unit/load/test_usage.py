"""What the counters of server and host say of a run."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load.usage import HostTimes, Reading, UsageSeries, replacements
from mlgate.sandbox.interface import Usage

# Recorded: two cores, Linux 6.18, shortened.
STAT = """cpu  3075703 1623510 1029760 4213139 42056 0 33734 7451 900 0
cpu0 1361838 818877 476812 2329063 11716 0 7682 3840 0 0
cpu1 1713864 804633 552947 1884075 30339 0 26052 3610 0 0
intr 116799102 0 0
ctxt 263
"""
MIB = 2**20


def reading(at, cpu_s=0.0, *, busy_s=0.0, cores=2, memory=100 * MIB, throttled_s=0.0):
    usage = Usage(memory=memory, cpu_s=cpu_s, throttled_s=throttled_s, processes=3)
    return Reading(at=at, server=usage, host=HostTimes(busy_s=busy_s, total_s=cores * at, cores=cores))


def series(readings, started_at=1000.0):
    return UsageSeries.of(readings, started_at=started_at, cpus=1.0)


def steady(seconds=10, *, server=0.5, busy=1.25, **more):
    """A server at *server* cores on a host with *busy* cores' worth of work, read every second."""
    return [reading(1000.0 + s, server * s, busy_s=busy * s, **more) for s in range(seconds + 1)]


def test_the_hosts_counters_are_read():
    """Neither idle nor waiting for a disk is busy; guest time is in user time already."""
    found = HostTimes.of(STAT, ticks_per_s=100)
    assert found.cores == 2
    assert found.busy_s == pytest.approx((3075703 + 1623510 + 1029760 + 33734 + 7451) / 100)
    assert found.total_s - found.busy_s == pytest.approx((4213139 + 42056) / 100)


def test_this_hosts_own_counters_are_read():
    """Against the kernel of this machine."""
    found = HostTimes.of(Path("/proc/stat").read_text(), ticks_per_s=os.sysconf("SC_CLK_TCK"))
    assert found.cores == os.cpu_count()
    assert 0 < found.busy_s < found.total_s


@pytest.mark.parametrize("text", ["", "intr 1 2\n", "cpu\n"])
def test_no_counters_are_no_times(text):
    """They are not zero."""
    assert HostTimes.of(text, ticks_per_s=100) is None


def test_shares_are_in_cores():
    """Half a core of the server, 1.25 of the host's two busy: with a generator of 0.25, half a core is somebody else's."""
    found = series(steady())
    assert found.server_share() == pytest.approx(0.5)
    assert found.other_share(0.25) == pytest.approx(0.5)
    assert found.idle_share() == pytest.approx(0.75)


def test_time_that_the_limit_made_it_wait_is_a_share_of_the_run():
    """Three of ten seconds."""
    found = series([reading(1000.0 + s, s, throttled_s=7 + 0.3 * s) for s in range(11)])
    assert found.throttled_share() == pytest.approx(0.3)


def test_only_the_run_itself_counts():
    """What server and host did before second 0 is none of the load's."""
    before = [reading(990.0, 0.0, busy_s=0.0), reading(999.0, 9.0, busy_s=18.0)]
    during = [reading(1000.0 + s, 9.0 + 0.2 * s, busy_s=18.0 + 0.4 * s) for s in range(5)]
    found = series(before + during)
    assert len(found) == 7
    assert found.server_share() == pytest.approx(0.2)
    assert found.other_share(0.0) == pytest.approx(0.2)
    assert found.memory_growth_inputs[0].tolist() == [0, 1, 2, 3, 4]


def test_a_server_that_is_restarted_has_the_share_that_it_had_before_and_after():
    """The counters begin again; the second in which that happened says nothing."""
    first = [reading(1000.0 + s, 50 + 0.5 * s, busy_s=s, throttled_s=5 + s) for s in range(5)]
    second = [reading(1005.0 + s, 0.5 * s, busy_s=5 + s, throttled_s=s) for s in range(5)]
    found = series(first + second)
    assert found.server_share() == pytest.approx(0.5)
    assert found.throttled_share() == pytest.approx(1.0)
    assert found.other_share(0.0) == pytest.approx(0.5)


def test_a_reading_that_failed_makes_a_longer_interval():
    """The counters go on while nobody looks."""
    readings = steady()
    readings[3] = Reading(at=1003.0)
    readings[4] = Reading(at=1004.0, host=readings[4].host)
    found = series(readings)
    assert found.server_share() == pytest.approx(0.5)
    assert found.idle_share() == pytest.approx(0.75)
    assert found.other_share(0.0) == pytest.approx(0.75)
    assert np.isnan(found.memory).tolist() == [index in {3, 4} for index in range(11)]


def test_memory_that_the_engine_does_not_tell_is_not_zero():
    """The rest of the reading still counts."""
    found = series([reading(1000.0, 1.0), reading(1001.0, 2.0, memory=None), reading(1002.0, 3.0, memory=7)])
    at_s, memory = found.memory_growth_inputs
    assert (at_s.tolist(), memory.tolist()) == ([0.0, 2.0], [100 * MIB, 7])
    assert found.server_share() == pytest.approx(1.0)


@pytest.mark.parametrize("readings", [[], [reading(1000.0)], [reading(998.0), reading(999.0), reading(1000.0)]])
def test_fewer_than_two_readings_of_the_run_are_no_share(readings):
    """Not zero: nobody looked."""
    found = series(readings)
    shares = [found.server_share(), found.throttled_share(), found.idle_share(), found.other_share(0.1)]
    assert shares == [None] * 4


def test_a_host_that_nobody_could_read_has_no_shares():
    """The server's own still stands."""
    found = series([Reading(at=one.at, server=one.server) for one in steady()])
    assert found.server_share() == pytest.approx(0.5)
    assert (found.idle_share(), found.other_share(0.0), found.cores) == (None, None, 0)


counters = st.one_of(st.none(), st.floats(0, 1e6, allow_nan=False))


@given(st.lists(st.tuples(st.floats(990, 1100), counters, counters, counters), max_size=30))
def test_no_share_is_ever_negative_or_not_a_number(rows):
    """Whatever counters do: fall, stand still, or are not read."""
    readings = []
    for at, cpu_s, throttled_s, busy_s in sorted(rows, key=lambda row: row[0]):
        server = None
        if cpu_s is not None and throttled_s is not None:
            server = Usage(memory=1, cpu_s=cpu_s, throttled_s=throttled_s, processes=1)
        host = None if busy_s is None else HostTimes(busy_s=busy_s, total_s=busy_s * 1.5, cores=4)
        readings.append(Reading(at=at, server=server, host=host))
    found = series(readings)
    shares = [found.server_share(), found.throttled_share(), found.idle_share(), found.other_share(0.5)]
    assert all(share is None or (share >= 0 and math.isfinite(share)) for share in shares)


MAIN = "gunicorn: master"
WORKER = "gunicorn: worker"


def test_a_worker_that_died_and_came_again_is_named():
    """By its command and both pids."""
    before = {1: MAIN, 12: WORKER, 13: WORKER}
    assert replacements(before, {1: MAIN, 13: WORKER, 57: WORKER}) == (
        "worker 'gunicorn: worker' (pid 12) was replaced by pid 57",
    )


def test_a_main_process_that_was_replaced_is_named_as_that():
    """With its workers, each by another one."""
    before = {10: MAIN, 12: WORKER, 13: WORKER}
    assert replacements(before, {80: MAIN, 81: WORKER, 82: WORKER}) == (
        "main process 'gunicorn: master' (pid 10) was replaced by pid 80",
        "worker 'gunicorn: worker' (pid 12) was replaced by pid 81",
        "worker 'gunicorn: worker' (pid 13) was replaced by pid 82",
    )


@pytest.mark.parametrize(
    "after",
    [
        {1: MAIN, 12: WORKER},
        {1: MAIN, 12: WORKER, 13: WORKER, 14: WORKER},
        {1: MAIN, 12: "gunicorn: worker [idle]"},
        {1: MAIN, 40: "sh -c date"},
        {1: MAIN},
        {},
    ],
    ids=["same", "more", "renamed", "another", "fewer", "nobody could look"],
)
def test_what_was_not_replaced_is_not_named(after):
    """A worker more, one less, or another program is no worker that came again."""
    assert replacements({1: MAIN, 12: WORKER}, after) == ()


def test_a_long_command_line_is_shortened():
    """A program on the command line has lines of its own."""
    long = "/opt/venv/bin/python -I -c\nimport sys\n" + "x" * 200
    (words,) = replacements({1: MAIN, 2: long}, {1: MAIN, 3: long})
    assert "python -I -c import sys xxx" in words
    assert "…' (pid 2) was replaced by pid 3" in words
    assert len(words) < 120
