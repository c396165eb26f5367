"""A server's memory, as cgroup v1 and v2 tell it."""

import pytest

from mlgate.sandbox.cgroup import memory_of

# Recorded in a container on Linux 6.18 with cgroup v1, shortened.
V1 = """268435456
cache 8388608
rss 241172480
rss_huge 0
shmem 1048576
mapped_file 4096
total_cache 8388608
total_rss 241172480
"""
# The names of Documentation/admin-guide/cgroup-v2.rst; a kernel from 5.19 on writes memory.peak.
V2 = """268435456
anon 241172480
file 8388608
kernel 4194304
shmem 1048576
file_mapped 4096
"""


@pytest.mark.parametrize(("text", "version"), [(V1, "v1"), (V2, "v2")])
def test_peak_and_what_is_held_now_are_read(text, version):
    """Page cache is told apart from the processes' own."""
    use = memory_of(text)
    assert use.peak == 256 * 2**20
    assert use.now == {"anon": 241172480, "file": 8388608, "shmem": 1048576}
    assert f"cgroup {version}" in use.counted
    assert "page cache" in use.counted


def test_a_peak_alone_is_still_a_peak():
    """What is held now stays unknown."""
    use = memory_of("4096\n")
    assert (use.peak, use.now) == (4096, {})


@pytest.mark.parametrize("text", ["", "max\n", "cat: can't open\n", "-1\nrss 1\n"])
def test_no_counter_is_no_number(text):
    """It is not zero."""
    assert memory_of(text) is None
