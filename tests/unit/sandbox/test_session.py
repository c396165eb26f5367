import os
import subprocess
import sys

from mlgate.sandbox.session import SessionTag, is_dead, owner_of


def test_an_owner_is_dead_only_when_it_is_certain():
    """Anything else may be somebody's running test."""
    tag = SessionTag.new()
    pid, start, boot, namespace = tag.owner.split(":")
    assert not is_dead(tag.owner)
    assert is_dead(f"{pid}:{int(start) + 1}:{boot}:{namespace}"), "the pid is another process by now"
    assert is_dead(f"{pid}:{start}:another-boot:{namespace}"), "the machine was started again"
    assert not is_dead(f"{pid}:{int(start) + 1}:{boot}:1"), "another pid namespace can not be judged"
    for malformed in ("", ":::", pid, f"{pid}:{start}", "x:1:2:3"):
        assert not is_dead(malformed)


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
