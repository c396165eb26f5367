"""Processes of this host, real ones: what they use and where they run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlgate.sandbox import process_tree

MIB = 2**20
CORES = sorted(os.sched_getaffinity(0))
# Two generations, each with a thread; the younger one holds memory and has used CPU. The name would break a careless reader.
FAMILY = """
import os, threading, time
sleeper = threading.Thread(target=threading.Event().wait, daemon=True)
child = os.fork()
sleeper.start()
if child == 0:
    open("/proc/self/comm", "w").write("a) 9 (b 7 7")
    held = bytearray(64 << 20)
    held[::4096] = b"x" * len(held[::4096])
    while time.process_time() < 0.3:
        pass
    os.write(1, b"r")
    threading.Event().wait()
else:
    os.write(1, b"r")
    threading.Event().wait()
"""


@pytest.fixture
def family():
    """A process with a child, both ready; they end with the test."""
    process = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout.read(2) == b"rr"
    yield process.pid
    for pid in reversed(process_tree.tree(process.pid)):
        os.kill(pid, 9)
    process.wait()
    process.stdout.close()


def test_descendants_are_found(family):
    """The root first."""
    pids = process_tree.tree(family)
    assert pids[0] == family
    assert len(pids) == 2
    assert [command.split()[0] for command in process_tree.commands(pids).values()] == [sys.executable] * 2


def test_memory_cpu_and_threads_of_all_are_added_up(family):
    """The child's are in; a strange name of a process does not move its fields."""
    own = process_tree.usage([family])
    both = process_tree.usage(process_tree.tree(family))
    assert own.memory < 64 * MIB < both.memory
    assert both.cpu_s - own.cpu_s >= 0.29
    assert (own.processes, both.processes) == (2, 4)


def test_a_child_that_was_waited_for_still_counts():
    """Its CPU is its parent's then, and never counted twice."""
    burn = "import subprocess,sys,time\nsubprocess.run([sys.executable,'-c','import time\\nwhile time.process_time() < 0.5: pass'])\n"
    command = [sys.executable, "-c", f"{burn}print(end='r', flush=True)\nsys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.read(1) == b"r"
        assert process_tree.usage(process_tree.tree(process.pid)).cpu_s >= 0.49


def test_what_is_gone_has_no_counters():
    """Nor a command line; and its threads run nowhere else."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert process_tree.usage([process.pid]) is None
    assert process_tree.commands([process.pid]) == {}
    assert process_tree.run_on(process.pid, {CORES[0]})


def affinities(root):
    return {
        frozenset(os.sched_getaffinity(int(task.name)))
        for pid in process_tree.tree(root)
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def test_every_thread_of_every_process_is_moved(family):
    """And back again."""
    assert process_tree.run_on(family, {CORES[-1]})
    assert affinities(family) == {frozenset({CORES[-1]})}
    assert process_tree.run_on(family, CORES)
    assert affinities(family) == {frozenset(CORES)}


def test_cores_that_are_not_there_move_nobody(family):
    """The kernel refuses them."""
    assert not process_tree.run_on(family, {4095})
    assert affinities(family) == {frozenset(CORES)}


def test_what_is_started_within_the_block_runs_there():
    """From its first instruction; this thread comes back."""
    program = "import os; print(*sorted(os.sched_getaffinity(0)))"
    with process_tree.starting_on({CORES[-1]}):
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(CORES[-1])]
    assert sorted(os.sched_getaffinity(0)) == CORES


def test_no_cores_are_no_block():
    """What is started runs where this thread runs."""
    with process_tree.starting_on(None):
        assert process_tree.own_cores() == frozenset(CORES)
