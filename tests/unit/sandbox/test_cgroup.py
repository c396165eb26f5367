"""Reading a container's counters, from files that kernels wrote while a child was killed for memory and a fork refused."""

import subprocess

import pytest

from mlgate.sandbox import cgroup

# Recorded: Linux 6.1, cgroup v2, memory.max 60 MiB and pids.max 12; the parent lived on.
V2 = {
    "memory.events": "low 0\nhigh 0\nmax 35\noom 1\noom_kill 1\noom_group_kill 0\n",
    "memory.peak": "62914560\n",
    "pids.events": "max 1\n",
    "memory.stat": "anon 1335296\nfile 0\nshmem 0\n",
}
# Recorded: Linux 6.18, cgroup v1.
V1 = {
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "memory/memory.max_usage_in_bytes": "62914560\n",
    "memory/memory.stat": "cache 0\nrss 1335296\nshmem 0\n",
    "pids/pids.events": "max 1\n",
}


class Recorded:
    """A container whose `/sys/fs/cgroup` holds recorded files; its shell is a real one."""

    def __init__(self, folder, files):
        self.folder = folder
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def exec_run(self, command):
        script = command[-1].replace("/sys/fs/cgroup", str(self.folder))
        done = subprocess.run([*command[:-1], script], capture_output=True, check=False)
        return done.returncode, done.stdout


@pytest.fixture(params=[V1, V2], ids=["v1", "v2"])
def files(request):
    """One version's files."""
    return request.param


def test_a_worker_that_was_killed_for_memory_is_counted(tmp_path, files):
    """Under a living parent, in both versions of cgroups."""
    assert cgroup.oom_kills(Recorded(tmp_path, files)) == 1


def test_a_fork_that_was_refused_is_counted(tmp_path, files):
    """By the limit on processes."""
    assert cgroup.refused_forks(Recorded(tmp_path, files)) == 1


def test_the_peak_is_the_kernels_own(tmp_path, files):
    """At the limit, to the byte."""
    assert cgroup.peak_memory(Recorded(tmp_path, files)) == 60 << 20


def test_nothing_killed_and_nothing_refused_counts_nothing(tmp_path):
    """Other keys hold the same words: `oom 3` is no kill, `max 35` of the memory no fork."""
    quiet = V2 | {
        "memory.events": "low 0\nhigh 0\nmax 35\noom 3\noom_kill 0\noom_group_kill 7\n",
        "pids.events": "max 0\n",
    }
    box = Recorded(tmp_path, quiet)
    assert (cgroup.oom_kills(box), cgroup.refused_forks(box)) == (0, 0)


def test_counters_that_can_not_be_read_count_nothing(tmp_path):
    """A container without a shell, or without these files."""
    box = Recorded(tmp_path, {})
    assert (cgroup.oom_kills(box), cgroup.refused_forks(box), cgroup.peak_memory(box)) == (0, 0, None)
