"""Several processes of the generator: on this host, and as if on others. Each run takes five to fifteen seconds."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlgate.errors import LoadGeneratorError
from mlgate.load import process
from mlgate.load.locust import run_load
from mlgate.load.plan import LoadPlan, Target
from mlgate.load.process import MASTER_VARIABLE
from mlgate.load.schedule import constant
from tests.integration.test_load import GOOD, RATE, Server, generators, running  # noqa: F401  (a fixture is among them)

BODIES = tuple(b"%d" % number for number in range(400))


class Timed(Server):
    """Takes 20 to 219.5 ms, by the number that the body carries, so that every percentile is known."""

    async def answer(self, index):
        """Wait as long as the request says."""
        await asyncio.sleep(service_s(int(self.seen[-1][2])))
        return 200, b'{"predictions": [%d]}' % (index % 7)


def service_s(number):
    """Return what the server takes for a request; neighbours differ, so that each worker meets all of it."""
    return 0.02 + number * 37 % 400 / 2000


def plan_of(url, *, workers, seconds=4.0, bodies=BODIES, **target):
    """Return a plan of 100 requests a second."""
    each = Target(url=url, bodies=bodies, **target)
    return LoadPlan(targets=(each,), schedule=constant(RATE, seconds), workers=workers)


@pytest.mark.alone
def test_four_workers_give_the_percentiles_of_one(tmp_path):
    """All requests once, at their times, and the same truth; locust's report has all of them."""
    server = Timed()
    with running(server):
        runs = {count: run_load(plan_of(server.url, workers=count), folder=tmp_path / str(count)) for count in (1, 4)}
    truth = np.array([service_s(number) for number in range(400)]) * 1000
    for run in runs.values():
        samples = run.samples
        assert (samples.intended_s == np.arange(400) / RATE).all()
        assert samples.body.tolist() == list(range(400))
        assert not samples.failed.any()
        # Below the clock's grain nothing comes early; a busy machine adds some, and to a few much.
        assert (samples.service_ms > truth - 1).all()
        assert np.median(samples.service_ms - truth) < 10
        for q in (0.5, 0.9, 0.95, 0.99):
            measured, known = (np.quantile(each, q, method="inverted_cdf") for each in (samples.response_ms, truth))
            assert measured == pytest.approx(known, abs=30)
        assert {answer.content for answer in run.answers} == {b'{"predictions": [%d]}' % n for n in range(7)}
        assert all(run.answers[place].body == body for place, body in zip(samples.answer, samples.body, strict=True))
    log = (tmp_path / "4" / "locust.log").read_text()
    assert next(line for line in log.splitlines() if line.startswith("POST")).split()[2] == "400"
    assert (tmp_path / "4" / "locust.html").exists()


@pytest.mark.alone
def test_several_workers_are_watched_and_stopped_as_one(tmp_path):
    """Rows come in while the run goes on; a stop leaves the schedule's beginning, whole."""
    server, seen = Server(), []

    def watch(samples, elapsed_s):
        seen.append((elapsed_s, int((~samples.failed).sum())))
        return "seen enough" if elapsed_s > 3 else None

    with running(server):
        run = run_load(plan_of(server.url, workers=2, seconds=60), folder=tmp_path, watch=watch)
    assert run.stopped == "seen enough"
    assert 250 < len(run.samples) < 1500
    assert not run.samples.failed.any()
    assert len(seen) >= 4
    # A report is 0.4 s old at most; the rest is a busy machine's.
    assert all(abs(count - elapsed_s * RATE) < 100 for elapsed_s, count in seen)


def test_a_worker_that_dies_is_named(tmp_path, generators):  # noqa: F811  (the fixture)
    """Three of four shares are no run, and no pass."""
    server = Server()

    def watch(_samples, elapsed_s):
        if elapsed_s > 1 and generators[3].poll() is None:
            os.kill(generators[3].pid, signal.SIGKILL)

    with running(server), pytest.raises(LoadGeneratorError, match=r"worker 3 of 4: it was killed by signal 9"):
        run_load(plan_of(server.url, workers=4, seconds=30), folder=tmp_path, watch=watch)
    assert all(generator.poll() is not None for generator in generators)


def test_what_a_worker_can_not_send_is_said(tmp_path):
    """The reason is the last log line, as with one process."""
    server = Server()
    with running(server), pytest.raises(LoadGeneratorError, match="invalid value for header"):
        run_load(plan_of(server.url, workers=2, headers={"X-Token": "two\nlines"}), folder=tmp_path)


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Elsewhere:
    """Workers that are started by their command, with the address under which they reach the server."""

    def __init__(self, master):
        self.master = master
        self.started = []

    def start(self, url):
        """Start one more."""
        command = [sys.executable, "-m", "mlgate", "load-worker", self.master, "--url", url]
        environment = {**os.environ, "PYTHONPATH": str(Path(process.__file__).parents[2])}
        environment.pop(MASTER_VARIABLE, None)
        self.started.append(subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True))


@pytest.fixture
def elsewhere(monkeypatch):
    """Have the next run wait for workers that are started by their command."""
    master = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv(MASTER_VARIABLE, master)
    workers = Elsewhere(master)
    yield workers
    for each in workers.started:
        each.kill()
        each.communicate()


def test_workers_on_other_hosts_take_their_shares(tmp_path, elsewhere):
    """They get plan and bodies from the master, and send to where they reach the server: here, not where the plan says."""
    server = Server()
    with running(server):
        for _ in range(2):
            elsewhere.start(server.url)
        plan = plan_of("http://127.0.0.1:9", workers=2, headers={"X-Token": "s3cret"}, bodies=(b"[1]", b"[2]"))
        run = run_load(plan, folder=tmp_path)
    assert len(run.samples) == 400
    assert not run.samples.failed.any()
    assert {body for _, _, body in server.seen} == {b"[1]", b"[2]"}
    assert all("X-Token: s3cret" in head for _, head, _ in server.seen)
    assert {answer.content for answer in run.answers} == {GOOD}
    assert [each.wait(30) for each in elsewhere.started] == [0, 0]


def test_a_worker_on_another_host_that_dies_ends_the_run(tmp_path, elsewhere):
    """Nobody here sees its process; its silence tells. The one that is left ends too."""
    server = Server()

    def watch(_samples, elapsed_s):
        if elapsed_s > 1:
            elsewhere.started[0].kill()

    with running(server):
        for _ in range(2):
            elsewhere.start(server.url)
        with pytest.raises(LoadGeneratorError, match=r"worker \d of 2 .* died or fell silent"):
            run_load(plan_of(server.url, workers=2, seconds=60), folder=tmp_path, watch=watch)
        elsewhere.started[1].wait(30)


def test_a_master_address_that_is_none_is_refused(tmp_path, monkeypatch):
    """Before anything is started."""
    monkeypatch.setenv(MASTER_VARIABLE, "localhost")
    with pytest.raises(Exception, match="'localhost' is no HOST:PORT"):
        run_load(plan_of("http://127.0.0.1:9", workers=2), folder=tmp_path)
