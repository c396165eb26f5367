"""The thread that reads counters while a load runs."""

import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from mlgate.load.monitor import Monitor
from mlgate.sandbox.interface import Usage

PATIENCE_S = 30.0


@dataclass
class Server:
    """A `ModelServer` as a monitor sees it; `seen` is released at each reading."""

    usages: list = field(default_factory=list)
    listed: list = field(default_factory=lambda: [{1: "main"}])
    sandbox: object = field(default_factory=lambda: SimpleNamespace(cpus=1.5))
    reads: int = 0
    seen: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def usage(self):
        self.reads += 1
        self.seen.release()
        answer = self.usages.pop(0) if self.usages else Usage(memory=5, cpu_s=self.reads, throttled_s=0.0, processes=1)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def processes(self):
        answer = self.listed.pop(0) if len(self.listed) > 1 else self.listed[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def await_reads(self, n):
        for _ in range(n):
            assert self.seen.acquire(timeout=PATIENCE_S)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "mlgate-load-monitor"]


def test_server_and_host_are_read_from_start_to_end():
    """Seconds count from second 0 of the samples; what came before is negative."""
    server = Server()
    with Monitor(server, every_s=0.005, pinned=True) as monitor:
        server.await_reads(3)
        started_at = time.monotonic()
        server.await_reads(5)
    found = monitor.series(started_at)
    assert len(found) == server.reads >= 8
    assert found.at_s[0] < 0 < found.at_s[-1]
    assert (found.at_s[1:] >= found.at_s[:-1]).all()
    assert found.server_cpu_s.tolist() == list(range(1, server.reads + 1))
    assert (found.host_total_s >= found.host_busy_s).all()
    assert (found.cpus, found.pinned, found.replaced) == (1.5, True, ())
    assert found.cores >= 1
    assert found.server_share() > 0


def test_readings_after_the_end_of_the_schedule_are_left_out():
    """The generator writes files then, and the server rests."""
    server = Server()
    with Monitor(server, every_s=0.005) as monitor:
        server.await_reads(4)
    everything = monitor.series(0.0)
    found = monitor.series(0.0, length_s=float(everything.at_s[1]))
    assert found.at_s.tolist() == everything.at_s[:2].tolist()


def test_the_end_is_read_however_long_the_pause(monkeypatch):
    """A run that is shorter than the pause has a first and a last reading; its end does not wait for the pause."""
    pausing = threading.Event()

    class Announced(threading.Event):
        def wait(self, timeout=None):
            pausing.set()
            return super().wait(timeout)

    monitor = Monitor(Server(), every_s=3600.0)
    monkeypatch.setattr(monitor, "_done", Announced())
    with monitor:
        assert pausing.wait(PATIENCE_S)
    assert len(monitor.series(0.0)) == 2


def test_the_thread_ends_with_the_block():
    """Also where the block raises; and what it raised is what comes out."""

    def broken_run():
        with Monitor(Server(), every_s=0.01):
            assert len(threads()) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_run()
    assert threads() == []


def test_the_end_waits_for_one_reading_at_most():
    """One that began before the end is the last one."""
    entered, free = threading.Event(), threading.Event()

    class Slow(Server):
        def usage(self):
            entered.set()
            assert free.wait(PATIENCE_S)
            return super().usage()

    server = Slow()
    with Monitor(server, every_s=0.001):
        assert entered.wait(PATIENCE_S)
        threading.Timer(0.05, free.set).start()
    assert server.reads == 1


def test_a_reading_that_fails_is_left_out():
    """The server's part of it; the ones after it are made."""
    server = Server(usages=[RuntimeError("gone"), None, OSError("no such process")])
    with Monitor(server, every_s=0.005) as monitor:
        server.await_reads(5)
    found = monitor.series(0.0)
    assert found.server_cpu_s[:5].tolist() == pytest.approx([float("nan")] * 3 + [4.0, 5.0], nan_ok=True)
    assert (found.host_total_s > 0).all()


def test_a_worker_that_was_replaced_during_the_block_is_named():
    """Looked at once before and once after."""
    server = Server(listed=[{1: "main", 2: "worker"}, {1: "main", 9: "worker"}])
    with Monitor(server) as monitor:
        pass
    assert monitor.series(0.0).replaced == ("worker 'worker' (pid 2) was replaced by pid 9",)


@pytest.mark.parametrize("listed", [[RuntimeError("no"), {1: "a"}], [{1: "a"}, RuntimeError("no")]])
def test_processes_that_nobody_can_list_are_no_failure(listed):
    """Neither before nor after."""
    with Monitor(Server(listed=listed)) as monitor:
        pass
    assert monitor.series(0.0).replaced == ()
