import os
import subprocess
import sys
import time

from mlgate.sandbox.session import MAX_RUN_S, SessionTag, is_dead, owner_of

NOW = 1_800_000_000.0
LONG_AGO = NOW - 2 * MAX_RUN_S


def test_an_owner_is_dead_only_when_it_is_certain():
    """Anything else may be somebody's running test."""
    tag = SessionTag.new()
    pid, start, boot, namespace = tag.owner.split(":")
    assert not is_dead(tag.owner)
    assert is_dead(f"{pid}:{int(start) + 1}:{boot}:{namespace}"), "the pid is another process by now"
    assert not is_dead(f"{pid}:{start}:another-boot:{namespace}"), "another machine can not be judged"
    assert not is_dead(f"{pid}:{int(start) + 1}:{boot}:1"), "another pid namespace can not be judged"
    for malformed in ("", ":::", pid, f"{pid}:{start}", "x:1:2:3"):
        assert not is_dead(malformed, made_at=LONG_AGO, now=NOW, same_kernel=True)


def test_another_machine_that_shares_the_engine_is_never_taken_for_dead_while_a_run_may_last():
    """It has another boot id, and so has this machine's past: only the engine's own machine can tell the two apart."""
    pid, start, _, namespace = SessionTag.new().owner.split(":")
    stranger = f"{pid}:{start}:another-boot:{namespace}"
    assert not is_dead(stranger, made_at=NOW - 3600, now=NOW)
    assert is_dead(stranger, made_at=LONG_AGO, now=NOW), "no run takes so long"
    assert is_dead(stranger, made_at=1.0, now=3600.0, same_kernel=True), "made before this machine was started"
    assert not is_dead(stranger, made_at=time.time(), same_kernel=True), "made since, so by another machine"


def test_what_an_unknowable_neighbour_left_goes_after_a_day():
    """A cancelled job's container takes owner and watchdog with it, and nobody can look into its pid namespace."""
    pid, start, boot, _ = SessionTag.new().owner.split(":")
    neighbour = f"{pid}:{start}:{boot}:1"
    assert not is_dead(neighbour, made_at=NOW - MAX_RUN_S + 1, now=NOW)
    assert is_dead(neighbour, made_at=NOW - MAX_RUN_S - 1, now=NOW)
    assert not is_dead(SessionTag.new().owner, made_at=LONG_AGO, now=NOW), "we are alive, however old that is"


def test_an_owner_that_ended_is_dead():
    """Its number may be anybody's soon."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        owner = owner_of(child.pid)
        assert not is_dead(owner)
        child.stdin.close()
    assert is_dead(owner)


def test_two_runs_of_one_process_are_two_sessions():
    """With one owner."""
    first, second = SessionTag.new(), SessionTag.new()
    assert first.id != second.id
    assert first.owner == second.owner
    assert first.labels() == {"mlgate.session": first.id, "mlgate.owner": first.owner}
    assert first.owner.startswith(f"{os.getpid()}:")
