"""The load generator against a small server on the loopback interface. Each run takes three to six seconds."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from mlgate.errors import LoadGeneratorError
from mlgate.evidence import Cause, Outcome
from mlgate.load import process
from mlgate.load.judgement import judge_error_rate, judge_percentile, judge_rate, unhealthy
from mlgate.load.locust import run_load
from mlgate.load.plan import WARM_UP_REQUESTS, LoadPlan, Target
from mlgate.load.sample_file import read_samples
from mlgate.load.samples import ErrorKind
from mlgate.load.schedule import Schedule, constant

RATE = 100
GOOD = b'{"predictions": [1.0]}'


@dataclass
class Server:
    """An HTTP server in a thread. Subclasses override `answer`; `seen` holds path, headers and body of each request."""

    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    url: str = ""

    async def answer(self, index: int) -> tuple[int, bytes]:
        """Return status and body for request *index*, counted from 0 after the warm-up."""
        await asyncio.sleep(0.005)
        return 200, GOOD

    @property
    def closes(self) -> bool:
        """Whether a connection is closed, unannounced, after each answer."""
        return False

    async def serve(self, reader, writer):
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
                )
                self.seen.append((head.split()[1], head, await reader.readexactly(length)))
                status, body = await self.answer(len(self.seen) - 1 - WARM_UP_REQUESTS)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
                if self.closes:
                    writer.close()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Serve on a free port of 127.0.0.1 until the block ends."""
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def start():
        # The default backlog of 100 overflows in a stall, and a dropped SYN comes again only after a second.
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=1000)
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        ready.set()

    def serve():
        loop.run_until_complete(start())
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def plan_for(url: str, *, schedule: Schedule, **options):
    """Return a plan of two bodies; what a `Target` has goes to it, the rest to the plan."""
    of_plan = {name: options.pop(name) for name in ("timeout_s", "workers", "cores", "body") if name in options}
    bodies = options.pop("bodies", (b'{"a": 1}', b'{"a": 22}'))
    return LoadPlan(targets=(Target(url=url, bodies=bodies, **options),), schedule=schedule, **of_plan)


def load(server: Server, folder: Path, *, seconds: float = 3, watch=None, **options):
    """Run a constant load of 100/s against *server*."""
    with running(server):
        plan = plan_for(server.url, schedule=constant(RATE, seconds), **options)
        return run_load(plan, folder=folder, watch=watch)


def kinds(samples):
    """Return each kind of error and how many requests met it."""
    return {ErrorKind(code): count for code, count in zip(*np.unique(samples.error, return_counts=True), strict=True)}


@pytest.mark.alone
def test_a_healthy_server_passes_every_check(tmp_path):
    """A server that answers in 5 ms carries the rate, within limits, and its generator kept the schedule."""
    server = Server()
    run = load(server, tmp_path, seconds=4)
    samples = run.samples
    # 400 requests allow not one over a p99, and the machine that runs this has other work: hence a wide limit.
    assert unhealthy(samples, run.health, 1000) is None
    assert judge_percentile(samples, q=0.99, limit_ms=1000, confidence=0.95).outcome is Outcome.PASSED
    assert judge_error_rate(samples, limit_share=0.01, confidence=0.95).outcome is Outcome.PASSED
    assert judge_rate(samples, rate=RATE).outcome is Outcome.PASSED
    assert len(samples) == 4 * RATE
    assert (samples.response_ms >= 5).all()
    assert (samples.size == len(GOOD)).all()
    assert run.health.cpu_share < 0.5


@pytest.mark.alone
def test_what_is_sent_is_what_was_planned(tmp_path):
    """Bodies in turn, path, content type and headers arrive; the warm-up is no sample; nothing is sent twice."""
    server = Server()
    run = load(server, tmp_path, path="/score", content_type="text/csv", headers={"X-Token": "s3cret"})
    paths, heads, bodies = zip(*server.seen, strict=True)
    assert set(paths) == {"/score"}
    assert all("Content-Type: text/csv" in head and "X-Token: s3cret" in head for head in heads)
    assert len(server.seen) == WARM_UP_REQUESTS + len(run.samples)
    assert abs(bodies.count(b'{"a": 1}') - bodies.count(b'{"a": 22}')) <= 1
    # The output folder is published; neither the data nor the token may be.
    for path in tmp_path.iterdir():
        assert b"s3cret" not in path.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {
        "samples.parquet",
        "health.json",
        "locust.html",
        "locust.log",
    }


@pytest.mark.alone
def test_a_stall_shows_in_the_percentiles(tmp_path):
    """Two seconds frozen delay some 200 requests; a closed loop would have waited in line and seen a handful."""

    class Freezing(Server):
        async def answer(self, index):
            if index == 200:
                time.sleep(2)  # noqa: ASYNC251  (the whole server freezes, as in a collection or a page fault)
            return await super().answer(index)

    run = load(Freezing(), tmp_path, seconds=6)
    assert np.quantile(run.samples.response_ms, 0.99) > 1000
    assert 60 <= (run.samples.response_ms > 1000).sum() <= 140
    finding = judge_percentile(run.samples, q=0.95, limit_ms=250, confidence=0.95)
    # One stall is one event: too few to be sure of a failure, and no pass.
    assert finding.outcome in {Outcome.FAILED, Outcome.INCONCLUSIVE}
    assert finding.cause is Cause.MODEL
    assert judge_rate(run.samples, rate=RATE).outcome is Outcome.PASSED
    # Locust's own statistics carry the same truth, rounded to its two digits; its second column is "Avg Min Max Med".
    row = next(line for line in (tmp_path / "locust.log").read_text().splitlines() if line.startswith("POST"))
    assert int(row.split("|")[1].split()[2]) == pytest.approx(run.samples.response_ms.max(), rel=0.05)


@pytest.mark.alone
def test_five_percent_slow_fails_p99_and_passes_p90(tmp_path):
    """Every twentieth request takes 300 ms: too many for p99 within 250 ms, few enough for p90."""

    class SometimesSlow(Server):
        async def answer(self, index):
            await asyncio.sleep(0.3 if index % 20 == 0 else 0.005)
            return 200, GOOD

    samples = load(SometimesSlow(), tmp_path, seconds=4).samples
    assert judge_percentile(samples, q=0.99, limit_ms=250, confidence=0.95).outcome is Outcome.FAILED
    assert judge_percentile(samples, q=0.90, limit_ms=250, confidence=0.95).outcome is Outcome.PASSED


@pytest.mark.alone
def test_errors_count(tmp_path):
    """3 % answers of 500 fail an error rate of 0.5 %, are named as the model's, and leave the rate carried."""

    class SometimesBroken(Server):
        async def answer(self, index):
            return (500, b'{"error": "boom"}') if index % 33 == 0 else (200, GOOD)

    samples = load(SometimesBroken(), tmp_path, seconds=4).samples
    finding = judge_error_rate(samples, limit_share=0.005, confidence=0.95)
    assert finding.outcome is Outcome.FAILED
    assert finding.cause is Cause.MODEL
    assert finding.details["errors"] == {"5xx": 13}
    assert finding.details["statuses"] == {"500": 13}
    assert judge_rate(samples, rate=RATE).outcome is Outcome.PASSED


@pytest.mark.alone
def test_a_server_too_slow_for_the_rate_fails_it(tmp_path):
    """30 ms a request, one at a time, carries a third of 100/s; the rest piles up."""

    class OneAtATime(Server):
        lock = None

        async def answer(self, index):
            self.lock = self.lock or asyncio.Lock()
            async with self.lock:
                await asyncio.sleep(0.03)
            return 200, GOOD

    run = load(OneAtATime(), tmp_path, seconds=3, timeout_s=2)
    finding = judge_rate(run.samples, rate=RATE)
    assert finding.outcome is Outcome.FAILED
    assert finding.measured < 60
    assert finding.details["backlog_growth_per_s"] > 20
    # The open loop kept offering: what the server does is not the generator's fault.
    assert unhealthy(run.samples, run.health, 1000) is None


def test_an_answer_that_is_not_finite_is_an_error(tmp_path):
    """A bare NaN is no JSON number; a label that reads like one is a label."""
    answers = [b'{"predictions": [NaN, 1]}', b'{"predictions": [-Infinity]}', b'{"predictions": ["Infinity, NaN"]}']

    class NotFinite(Server):
        async def answer(self, index):
            return 200, answers[index % 3]

    assert kinds(load(NotFinite(), tmp_path).samples) == {ErrorKind.NONE: 100, ErrorKind.NOT_FINITE: 200}
    assert not load(NotFinite(), tmp_path, reject_not_finite=False).samples.failed.any()


def test_null_in_a_v2_output_is_an_error(tmp_path):
    """V2 has no other word for a number that is not finite; a null elsewhere is none."""

    class NotFinite(Server):
        async def answer(self, index):
            output = b'{"outputs": [{"name": "y", "shape": [1], "data": [%s]}], "id": null}'
            return 200, output % [b"null", b"1.0"][index % 2]

    samples = load(NotFinite(), tmp_path, protocol="v2").samples
    assert kinds(samples) == {ErrorKind.NONE: 150, ErrorKind.NOT_FINITE: 150}


def test_errors_are_told_apart(tmp_path):
    """A client's, a server's, another status, a 200 that is no prediction, one of too few rows; what came is kept."""
    answers = [
        (400, b"{}"),
        (503, b"{}"),
        (302, b"{}"),
        (200, b'{"error": "out of memory"}'),
        (200, b'{"predictions": []}'),
        (200, GOOD),
    ]

    class Failing(Server):
        async def answer(self, index):
            return answers[index % len(answers)]

    run = load(Failing(), tmp_path, bodies=(b"{}",), rows=(1,))
    counts = run.samples.error_counts
    assert counts == {"4xx": 50, "5xx": 50, "status": 50, "invalid_body": 100}
    assert {answer.content for answer in run.answers} == {content for status, content in answers if status == 200}
    good = run.samples.answer[~run.samples.failed]
    assert {run.answers[place].content for place in good} == {GOOD}
    assert (run.samples.answer[run.samples.status != 200] == -1).all()


def test_an_answer_that_is_cut_short_is_a_lost_connection(tmp_path):
    """Half a body with a status of 200 before it is no answer."""

    class Cutting(Server):
        async def serve(self, reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n" + GOOD)
            writer.close()

    assert kinds(load(Cutting(), tmp_path, seconds=1).samples) == {ErrorKind.CONNECTION: 100}


def test_two_servers_are_asked_in_turns(tmp_path):
    """Each gets its own bodies under its own path, and each sample says whose it is."""
    first, second = Server(), Server()
    with running(first), running(second):
        targets = (
            Target(url=first.url, bodies=(b"[1]", b"[2]"), path="/a", headers={"X-Token": "first"}),
            Target(url=second.url, bodies=(b"[3]",), path="/b"),
        )
        turns = np.arange(200, dtype=np.uint8) % 2
        run = run_load(LoadPlan(targets=targets, schedule=constant(RATE, 2), target=turns), folder=tmp_path)
    assert (run.samples.target == turns).all()
    assert not run.samples.failed.any()
    assert {path for path, _, _ in first.seen} == {"/a"}
    assert {path for path, _, _ in second.seen} == {"/b"}
    assert [body for _, _, body in first.seen[WARM_UP_REQUESTS:][:3]] == [b"[1]", b"[2]", b"[1]"]
    assert {body for _, _, body in second.seen} == {b"[3]"}
    assert all("X-Token" not in head for _, head, _ in second.seen)
    assert {(answer.target, answer.body) for answer in run.answers} == {(0, 0), (0, 1), (1, 0)}


@pytest.mark.alone
def test_the_plan_says_which_body_each_request_carries(tmp_path):
    """A drawn order, as of batch sizes, arrives as it was drawn."""
    body = np.random.default_rng(1).integers(0, 2, 100).astype(np.int32)
    server = Server()
    run = load(server, tmp_path, seconds=1, body=body, bodies=(b"0", b"1"))
    # Ten milliseconds lie between two of them, so they arrive in order but for a hiccup.
    seen = np.array([int(content) for _, _, content in server.seen[WARM_UP_REQUESTS:]])
    assert seen.sum() == body.sum()
    assert (seen == body).mean() > 0.9
    assert (run.samples.body == body).all()


def test_the_file_holds_the_samples_of_the_run(tmp_path):
    """What is published is what was judged."""
    run = load(Server(), tmp_path, seconds=1)
    again = read_samples(tmp_path / "samples.parquet")
    for column in ("intended_s", "sent_s", "done_s", "status", "size", "error", "body", "target"):
        assert np.array_equal(getattr(again, column), getattr(run.samples, column))


@pytest.mark.alone
def test_the_samples_can_be_watched_as_they_come_in(tmp_path):
    """Twice a second, on the run's own clock: what is answered so far, growing; the clock is this process's too."""
    seen = []

    def watch(samples, elapsed_s):
        seen.append((elapsed_s, int((~samples.failed).sum()), time.monotonic() - elapsed_s))

    run = load(Server(), tmp_path, seconds=4, watch=watch)
    assert len(seen) >= 4
    for elapsed_s, answered, started_at in seen:
        # 50 requests, half a second's: the machine has other work.
        assert abs(answered - min(elapsed_s, 4) * RATE) < 50
        assert started_at == pytest.approx(run.started_at, abs=0.1)
    assert run.stopped == ""


@pytest.mark.alone
def test_a_watch_that_has_seen_enough_ends_the_run(tmp_path):
    """Nothing more is sent, what was sent is answered, and what is left is the part of the schedule that was run."""
    server = Server()
    run = load(server, tmp_path, seconds=60, watch=lambda _, elapsed_s: "seen enough" if elapsed_s > 2 else None)
    assert run.stopped == "seen enough"
    assert 150 < len(run.samples) < 1000
    assert (run.samples.intended_s == np.arange(len(run.samples)) / RATE).all()
    assert not run.samples.failed.any()
    assert len(server.seen) == WARM_UP_REQUESTS + len(run.samples)
    assert run.health.dropped == 0
    assert run.health.offered_rate == pytest.approx(RATE, rel=0.02)
    assert (tmp_path / "locust.html").exists()


def test_a_stopped_run_does_not_wait_for_a_server_that_hangs(tmp_path):
    """What is under way a second later counts as not answered, with the time that was waited for it."""

    class Hanging(Server):
        async def answer(self, index):
            await asyncio.sleep(60 if index >= 100 else 0.005)
            return 200, GOOD

    run = load(Hanging(), tmp_path, seconds=60, timeout_s=50, watch=lambda _, at: "hangs" if at > 2 else None)
    lost = run.samples.error == ErrorKind.TIMEOUT
    assert abs((~lost).sum() - 100) <= 5
    assert (run.samples.service_ms[lost] < 20_000).all()
    assert not run.samples.waiting.any()


def test_the_generator_stays_on_its_cores(tmp_path, generators):
    """So that it does not take the server's."""
    core = min(os.sched_getaffinity(0))
    seen = []

    def watch(_samples, _elapsed_s):
        threads = Path(f"/proc/{generators[0].pid}/task").iterdir()
        seen.append({frozenset(os.sched_getaffinity(int(thread.name))) for thread in threads})

    load(Server(), tmp_path, seconds=2, cores=(core,), watch=watch)
    assert seen
    assert all(each == {frozenset({core})} for each in seen)


@pytest.mark.alone
def test_an_answer_that_never_comes_is_a_sample(tmp_path):
    """Every tenth request hangs: after its timeout it counts, with status 0, as not answered."""

    class Hanging(Server):
        async def answer(self, index):
            await asyncio.sleep(60 if index % 10 == 0 else 0.005)
            return 200, GOOD

    samples = load(Hanging(), tmp_path, timeout_s=0.7).samples
    lost = ~samples.answered
    assert lost.sum() == 30
    assert set(samples.error[lost]) == {ErrorKind.TIMEOUT}
    assert (samples.service_ms[lost] >= 600).all()
    assert judge_error_rate(samples, limit_share=0.01, confidence=0.95).cause is Cause.SERVER


@pytest.mark.alone
def test_a_connection_closed_between_requests_is_no_error(tmp_path):
    """A server may close a connection that is idle; the next request opens another."""

    class Closing(Server):
        closes = True

    samples = load(Closing(), tmp_path).samples
    # Where the close and the next request cross each other, a POST may not be sent again (RFC 9110, 9.2.2).
    assert samples.failed.mean() <= 0.01


def test_nobody_listening_is_the_servers_failure(tmp_path):
    """Refused connections are samples too: the run is judged, and fails."""
    plan = plan_for("http://127.0.0.1:9", schedule=constant(RATE, 3))
    samples = run_load(plan, folder=tmp_path).samples
    assert set(samples.error) == {ErrorKind.CONNECTION}
    assert judge_error_rate(samples, limit_share=0.01, confidence=0.95).cause is Cause.SERVER
    assert judge_rate(samples, rate=RATE).outcome is Outcome.FAILED


@pytest.fixture
def generators(monkeypatch):
    """Collect the generator processes that are started."""
    started = []
    popen = subprocess.Popen

    def remember(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(process.subprocess, "Popen", remember)
    return started


class Signalling(Server):
    """Runs `act` when request 100 arrives."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    async def answer(self, index):
        """Act once, and answer as ever."""
        if index == 100:
            self.act()
        return await super().answer(index)


def test_a_generator_that_is_killed_is_an_error_of_its_own(tmp_path, generators):
    """No samples is no pass, also where an earlier run left some."""
    (tmp_path / "samples.parquet").write_bytes(b"yesterday's")
    server = Signalling(lambda: os.kill(generators[0].pid, signal.SIGKILL))
    with pytest.raises(LoadGeneratorError, match="killed by signal 9; its last log line"):
        load(server, tmp_path)
    assert not (tmp_path / "samples.parquet").exists()


def test_a_full_disk_is_an_error_in_one_line(tmp_path):
    """The system refuses to write more than a part of the rows, as it does where there is no room for them."""
    target = Target(url="http://127.0.0.1:1", bodies=(b"{}",))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(LoadGeneratorError, match=r"can not be written to .*; 60 000 requests take about .*MiB"):
            run_load(LoadPlan(targets=(target,), schedule=constant(1000, 60)), folder=tmp_path / "load")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_generator_that_lags_makes_the_run_unhealthy(tmp_path, generators):
    """Stopped for half a second, it sends late; that is said, and not blamed on the model."""

    def pause():
        pid = generators[0].pid
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(0.5, os.kill, (pid, signal.SIGCONT)).start()

    run = load(Signalling(pause), tmp_path)
    assert run.health.send_lag_p99_ms > 300
    assert "late at p99" in unhealthy(run.samples, run.health, 250)


def test_a_generator_past_its_deadline_is_killed(tmp_path, generators):
    """There is no waiting for ever: at the deadline the process is ended and the error says so."""
    plan = plan_for("http://127.0.0.1:9", schedule=constant(RATE, 60))
    with pytest.raises(LoadGeneratorError, match="still running after 2 s"):
        run_load(plan, folder=tmp_path, timeout_s=2)
    assert generators[0].returncode == -signal.SIGKILL


def test_a_plan_that_no_client_can_send_is_no_failure_of_the_model(tmp_path):
    """A header that HTTP can not carry stops the generator, with the reason as the last log line."""
    with pytest.raises(LoadGeneratorError, match=r"exited with code 3; its last log line: .*invalid value for header"):
        load(Server(), tmp_path, headers={"X-Token": "two\nlines"})


DRIVER = """
import signal, sys
from pathlib import Path
from mlgate.load.locust import run_load
from mlgate.load.plan import LoadPlan, Target
from mlgate.load.schedule import constant
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
target = Target(url=sys.argv[1], bodies=(b"{}",))
plan = LoadPlan(targets=(target,), schedule=constant(100, float(sys.argv[3])), workers=int(sys.argv[4]))
run_load(plan, folder=Path(sys.argv[2]))
print([name for name in ("locust", "gevent", "geventhttpclient") if name in sys.modules])
"""


def drive(server: Server, folder: Path, seconds: float, workers: int = 1) -> "subprocess.Popen[str]":
    """Start a fresh interpreter that runs a load."""
    command = [sys.executable, "-c", DRIVER, server.url, str(folder), str(seconds), str(workers)]
    root = str(Path(process.__file__).parents[2])
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root})


def test_neither_locust_nor_gevent_is_imported(tmp_path):
    """Importing locust patches sockets and threads of the whole process; it happens in the generator only."""
    with running(Server()) as server:
        output, _ = drive(server, tmp_path, 1).communicate(timeout=60)
    assert output.strip() == "[]"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_the_generator_ends_with_the_process_that_started_it(tmp_path, monkeypatch, ending, workers):
    """After Ctrl-C and even after SIGKILL the requests cease, and no body stays behind."""
    private = tmp_path / "tmp"
    private.mkdir()
    monkeypatch.setenv("TMPDIR", str(private))
    with running(Server()) as server:
        driver = drive(server, tmp_path / "load", 60, workers)
        _until(lambda: len(server.seen) > 50)
        driver.send_signal(ending)
        driver.communicate(timeout=30)
        _until(lambda: _pauses(server))
    # Bodies and headers were handed over in a private folder of the temporary directory.
    _until(lambda: not list(private.iterdir()))


def _pauses(server: Server) -> bool:
    """Whether no request comes for a fifth of a second, twenty times the distance between two."""
    before = len(server.seen)
    time.sleep(0.2)
    return len(server.seen) == before


def _until(condition, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_users_own_locust_settings_do_not_reach_the_generator(tmp_path, monkeypatch):
    """A LOCUST_ variable or a locust.conf in the working directory could shorten the run or swap its host."""
    monkeypatch.setenv("LOCUST_RUN_TIME", "1s")
    monkeypatch.setenv("LOCUST_HOST", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "locust.conf").write_text("run-time = 1s\n")
    server = Server()
    run = load(server, tmp_path / "load")
    assert run.samples.answered.all()
    assert len(server.seen) == WARM_UP_REQUESTS + 3 * RATE
