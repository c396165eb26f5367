"""What an engine says of a container's use, with cgroup v1 and v2."""

import docker.errors
import pytest

from mlgate.sandbox import cgroup
from mlgate.sandbox.interface import Usage

# Recorded: an engine 20.10, cgroup v1, a limit of half a CPU. The program held 50 MiB, wrote 20 MiB below a tmpfs and burned in two threads.
V1 = {
    "read": "2026-11-23T19:11:33.294803382Z",
    "pids_stats": {"current": 3},
    "num_procs": 0,
    "cpu_stats": {
        "cpu_usage": {"total_usage": 2041623206, "percpu_usage": [967415646, 1074207560]},
        "throttling_data": {"periods": 42, "throttled_periods": 40, "throttled_time": 2329941755},
    },
    "memory_stats": {
        "usage": 86216704,
        "max_usage": 107196416,
        "stats": {
            "rss": 55959552,
            "total_active_anon": 4096,
            "total_active_file": 1421312,
            "total_cache": 29265920,
            "total_inactive_anon": 76906496,
            "total_inactive_file": 6873088,
            "total_rss": 55959552,
            "total_unevictable": 0,
        },
    },
}
# The example of the engine's API reference (v1.41, ContainerStats) with the keys of cgroup-v2.rst.
V2 = {
    "pids_stats": {"current": 3},
    "cpu_stats": {
        "cpu_usage": {"total_usage": 100215355, "usage_in_kernelmode": 30000000, "usage_in_usermode": 70000000},
        "throttling_data": {"periods": 5, "throttled_periods": 2, "throttled_time": 1500000000},
    },
    "memory_stats": {"usage": 6537216, "stats": {"anon": 4194304, "file": 1048576, "shmem": 524288, "kernel": 4096}},
}
# Recorded, as above, after it was killed.
STOPPED = {
    "read": "0001-01-01T00:00:00Z",
    "pids_stats": {},
    "cpu_stats": {"cpu_usage": {"total_usage": 0}, "throttling_data": {"throttled_time": 0}},
    "memory_stats": {},
}
# Recorded, as above, shortened.
TOP = {
    "Titles": ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
    "Processes": [
        ["root", "9480", "9499", "0", "19:11", "?", "00:00:00", "gunicorn: worker [model]"],
        ["root", "9499", "9452", "49", "19:11", "?", "00:00:02", "gunicorn: master [model]"],
    ],
}


def test_memory_of_version_1_is_anonymous_memory_and_tmpfs():
    """Not the page cache of files; the engine's answer has no `shmem`, and the lists of anonymous pages say the same."""
    found = cgroup.usage_of(V1)
    assert found == Usage(memory=55959552 + 20 * 2**20, cpu_s=2.041623206, throttled_s=2.329941755, processes=3)
    stat = V1["memory_stats"]["stats"]
    assert found.memory == pytest.approx(stat["total_active_anon"] + stat["total_inactive_anon"], abs=2**16)


def test_memory_of_version_1_takes_tmpfs_where_it_is_told():
    """Some engines do."""
    stats = V1["memory_stats"]["stats"] | {"total_shmem": 4096}
    assert cgroup.usage_of(V1 | {"memory_stats": {"stats": stats}}).memory == 55959552 + 4096


def test_memory_of_version_2_is_anonymous_memory_and_tmpfs():
    """`file` holds the tmpfs as well; it is not taken."""
    assert cgroup.usage_of(V2) == Usage(memory=4718592, cpu_s=0.100215355, throttled_s=1.5, processes=3)


def test_waiting_in_microseconds_is_read_too():
    """As the kernel's `cpu.stat` of version 2 says it."""
    told = V2 | {"cpu_stats": V2["cpu_stats"] | {"throttling_data": {"throttled_usec": 250000}}}
    assert cgroup.usage_of(told).throttled_s == 0.25


@pytest.mark.parametrize("missing", ["memory_stats", "throttling_data"])
def test_what_an_engine_leaves_out_is_not_made_up(missing):
    """The rest is still told: memory is unknown, and no one counted the waiting."""
    if missing == "memory_stats":
        found = cgroup.usage_of(V2 | {"memory_stats": {"usage": 6537216, "stats": None}})
        assert (found.memory, found.cpu_s) == (None, 0.100215355)
    else:
        found = cgroup.usage_of(V2 | {"cpu_stats": {"cpu_usage": {"total_usage": 5}}})
        assert (found.throttled_s, found.memory) == (0.0, 4718592)


@pytest.mark.parametrize("told", [STOPPED, {}, {"cpu_stats": None, "pids_stats": None}])
def test_a_container_that_does_not_run_uses_nothing_that_could_be_read(told):
    """Zeros would look like a server that was restarted."""
    assert cgroup.usage_of(told) is None


def test_processes_are_listed_with_the_main_one_first():
    """Its pid may be higher than a worker's: pids begin again."""
    found = cgroup.processes_of(TOP, main=9499)
    assert list(found.items()) == [(9499, "gunicorn: master [model]"), (9480, "gunicorn: worker [model]")]


@pytest.mark.parametrize("told", [{}, {"Titles": None, "Processes": None}, {"Titles": ["CMD"], "Processes": [["x"]]}])
def test_no_list_of_processes_is_empty(told):
    """Another engine's titles, or none."""
    assert cgroup.processes_of(told, main=1) == {}


class Refusing:
    """A container whose engine answers with an error."""

    def __init__(self, error):
        self.error = error
        self.attrs = {}

    def stats(self, **_):
        raise self.error

    def top(self):
        raise self.error

    def update(self, **_):
        raise self.error


@pytest.mark.parametrize(
    "error", [docker.errors.NotFound("gone"), docker.errors.InvalidVersion("one_shot"), ConnectionError("broken")]
)
def test_an_engine_that_refuses_is_nothing_read_and_nothing_done(error):
    """The container is gone, the engine too old, or the connection broken."""
    container = Refusing(error)
    assert cgroup.usage(container) is None
    assert cgroup.processes(container) == {}
    assert cgroup.run_on(container, {0}) is False


@pytest.mark.parametrize(
    ("listed", "cores"), [("0-1\n", {0, 1}), ("0\n", {0}), ("0-2,5,7-8\n", {0, 1, 2, 5, 7, 8}), ("", set())]
)
def test_the_kernels_lists_of_cores_are_read(listed, cores):
    """And what is written comes back."""
    assert cgroup.cores_of(listed) == cores
    assert cgroup.cores_of(cgroup.cpuset(cores)) == cores
