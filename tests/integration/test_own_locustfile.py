"""A user's own locustfile, in real locust against small servers. Some seconds each."""

import textwrap
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlgate.errors import LoadGeneratorError
from mlgate.load.noop import noop_server
from mlgate.load.own_locustfile import run_locustfile
from mlgate.load.samples import ErrorKind

HEAD = "from locust import FastHttpUser, HttpUser, LoadTestShape, User, constant, events, task\n"
GOOD = """
class Caller(FastHttpUser):
    wait_time = constant(0.02)

    @task
    def predict(self):
        self.client.post("/invocations", json={"a": 1})
"""


@pytest.fixture
def locustfile(tmp_path):
    """Write a locustfile that begins with locust's names; return its path."""

    def write(body: str, name: str = "locustfile.py"):
        path = tmp_path / "theirs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEAD + textwrap.dedent(body))
        return path

    return write


def run(file, tmp_path, *, url=None, service_s=0.01, users=3, duration_s=2.0, timeout_s=1.0, **options):
    """Run *file* against a server that answers in *service_s*, or against *url*."""
    with noop_server(service_s=service_s) as served:
        return run_locustfile(
            file, url=url or served, users=users, spawn_rate=100, duration_s=duration_s, timeout_s=timeout_s,
            folder=tmp_path / "load", **options,
        )  # fmt: skip


@pytest.mark.alone
def test_every_request_is_a_sample(locustfile, tmp_path):
    """What the users sent and what came back, in order, on the run's clock; and the files of any other run."""
    before = time.monotonic()
    found = run(locustfile(GOOD), tmp_path)
    samples = found.samples
    assert before < found.started_at < time.monotonic()
    # Three users who wait 20 ms after each answer of 10 ms send at most 100/s.
    assert 20 < len(samples) <= 210
    assert (samples.service_ms >= 9.9).all()
    assert (samples.status == 200).all()
    assert not samples.failed.any()
    assert (samples.size == len(b'{"predictions": [0.0]}')).all()
    assert (np.diff(samples.sent_s) >= 0).all()
    assert samples.sent_s[0] >= 0
    assert samples.sent_s[-1] < 2
    assert (samples.intended_s == samples.sent_s).all()
    assert found.health.dropped == 0
    assert found.health.achieved_rate == pytest.approx(len(samples) / 2)
    folder = tmp_path / "load"
    assert {path.name for path in folder.iterdir()} == {"samples.parquet", "health.json", "locust.html", "locust.log"}
    assert pq.read_table(folder / "samples.parquet").num_rows == len(samples)
    assert {path.name for path in tmp_path.iterdir()} == {"load", "theirs"}


@pytest.mark.alone
def test_the_file_runs_as_locust_would_run_it_by_hand(locustfile, tmp_path, monkeypatch):
    """Its environment, its working directory, modules beside it whatever their name; but no setting of other runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_TOKEN", "s3cret")
    monkeypatch.setenv("LOCUST_RUN_TIME", "1s")
    (tmp_path / "locust.conf").write_text("users = 1\nprocesses = 2\n")
    (tmp_path / "bodies.json").write_text("[1]")
    for name in ("recorder", "client"):
        locustfile(f"BODY = open('bodies.json').read()\nNAME = '{name}'", f"{name}.py")
    file = locustfile("""
        import os, client, recorder
        assert (recorder.BODY, client.NAME, os.environ["A_TOKEN"]) == ("[1]", "client", "s3cret")
        home = os.environ["HOME"]

        class Raised(HttpUser):  # a name that the recorder has too
            @task
            def predict(self):
                assert open("bodies.json").read() == recorder.BODY
                assert os.environ["HOME"] == home
                self.client.post("/invocations", data=recorder.BODY)
        """)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = run(file, tmp_path)
    assert found.samples.sent_s[-1] > 1.5
    assert not found.samples.failed.any()


@pytest.mark.alone
def test_a_load_shape_says_how_many_users(locustfile, tmp_path):
    """Classes of users and of shapes are both the file's."""
    shape = """
        class Shape(LoadTestShape):
            def tick(self):
                return 1, 1
        """
    found = run(locustfile(GOOD + textwrap.dedent(shape)), tmp_path, users=50)
    # One user sends at most once in 30 ms, fifty would send 1 500/s.
    assert 10 < len(found.samples) <= 70


@pytest.mark.alone
def test_errors_have_their_kind(locustfile, tmp_path):
    """The file's own judgement first, then the status, then what the client says."""
    found = run(
        locustfile("""
        class Caller(FastHttpUser):
            wait_time = constant(0.05)

            @task
            def bad(self):
                with self.client.post("/invocations", json={}, catch_response=True) as answer:
                    answer.failure("not what I wanted")

            @task
            def refused(self):
                self.client.get("http://127.0.0.1:9/")

        class Slow(HttpUser):
            wait_time = constant(0.05)

            @task
            def refused(self):
                self.client.get("http://127.0.0.1:9/")

        class Socket(User):
            wait_time = constant(0.05)

            @task
            def own_protocol(self):
                events.request.fire(request_type="SOCKET", name="x", response_time=3, response_length=7, exception=None)
        """),
        tmp_path,
        users=6,
    )
    samples = found.samples
    assert set(samples.error_counts) == {"invalid_body", "connection"}
    assert (samples.status[samples.error == ErrorKind.CONNECTION] == 0).all()
    good = ~samples.failed
    assert set(samples.size[good]) == {7}
    assert samples.answered[good].all()
    assert samples.service_ms[good] == pytest.approx(3)


@pytest.mark.alone
@pytest.mark.parametrize("user", ["FastHttpUser", "HttpUser"])
def test_answers_that_never_come_are_samples(locustfile, tmp_path, user):
    """Locust's clients wait a minute or for ever, and a request that never ends is never reported."""
    found = run(locustfile(GOOD.replace("FastHttpUser", user)), tmp_path, service_s=60, timeout_s=0.6)
    samples = found.samples
    assert set(samples.error) == {ErrorKind.TIMEOUT}
    # Three users who wait 0.6 s each time; those whose wait reaches over the end are among them.
    assert 6 <= len(samples) <= 12
    assert (samples.service_ms >= 590).all()
    assert samples.done_s.max() > 2


def test_a_request_without_a_limit_of_its_own_is_lost_to_nobody(locustfile, tmp_path):
    """The file may ask its client to wait longer than the run does; the run gives up, and counts it."""
    slow = GOOD.replace("wait_time", "network_timeout = connection_timeout = 100\n    wait_time")
    samples = run(locustfile(slow), tmp_path, service_s=60, timeout_s=0.6).samples
    assert len(samples) == 3
    assert set(samples.error) == {ErrorKind.TIMEOUT}


@pytest.mark.alone
def test_a_watch_sees_the_requests_and_stops_the_run(locustfile, tmp_path):
    """What has been sent by then is kept, and nobody waits for the rest of the duration."""
    seen = []

    def watch(samples, now_s):
        seen.append((len(samples), now_s))
        return "enough" if len(samples) >= 20 else None

    began = time.monotonic()
    found = run(locustfile(GOOD), tmp_path, duration_s=300, watch=watch)
    assert time.monotonic() - began < 100
    assert found.stopped == "enough"
    assert len(found.samples) >= seen[-1][0] >= 20
    assert found.samples.sent_s[-1] < 100
    assert found.health.achieved_rate == pytest.approx(found.health.offered_rate)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def broken(:\n    pass", r"locustfile\.py:2: SyntaxError: invalid syntax"),
        ("import nowhere_to_be_found", r"locustfile\.py:2: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("x = 1", r"locustfile\.py: no class in it derives from locust's User, so nothing would be sent"),
        ("raise SystemExit(0)", r"locustfile\.py:2: SystemExit: 0"),
        (
            "class Caller(HttpUser):\n    @task\n    def predict(self):\n        {}['rows']",
            r"a task raised locustfile\.py:5: KeyError: 'rows' \(\d+ times\)",
        ),
        (
            "class Caller(HttpUser):\n    @task\n    def idle(self):\n        pass\n    wait_time = constant(1)",
            r"locustfile\.py sent no request in 2 s",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_one_clear_line(locustfile, tmp_path, body, message):
    """With the file's own line, and no traceback to search through."""
    with pytest.raises(LoadGeneratorError, match=rf"^load\.locustfile: {message}\. Hint: "):
        run(locustfile(body), tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    """Before anything is started."""
    with pytest.raises(LoadGeneratorError, match=r"nowhere\.py is no file"):
        run(tmp_path / "nowhere.py", tmp_path)


def test_a_task_that_trips_over_errors_is_the_servers_failure(locustfile, tmp_path):
    """The request is counted as an error; that reading its answer raises says nothing new."""
    body = GOOD.replace('self.client.post("/invocations", json={"a": 1})', 'self.client.get("/").json()["predictions"]')
    found = run(locustfile(body), tmp_path, url="http://127.0.0.1:9")
    assert set(found.samples.error) == {ErrorKind.CONNECTION}
    assert found.samples.failed.all()


@pytest.mark.parametrize(
    "start",
    ["time.time() * 1000", "time.monotonic()", "time.time() - 3600", "time.time() + 3600", "None"],
    ids=["in milliseconds", "of another clock", "a clock set ahead", "a clock set back", "none"],
)
def test_a_request_with_an_impossible_time_is_judged_all_the_same(locustfile, tmp_path, start):
    """One that is left out is a failure that nobody sees; one before second 0 is in no second of the run."""
    file = locustfile(f"""
        import time

        class Caller(User):
            wait_time = constant(0.02)

            @task
            def predict(self):
                self.environment.events.request.fire(
                    request_type="grpc", name="predict", response_time=3_600_000, response_length=0, start_time={start},
                    exception=RuntimeError("down"), context={{}},
                )
        """)
    samples = run(file, tmp_path).samples
    assert len(samples) > 20
    assert samples.failed.all()
    assert samples.sent_s.min() >= 0


def test_what_is_no_response_time_is_no_good_answer(locustfile, tmp_path):
    """A negative one is under every limit; locust itself ends with NaN and infinity."""
    file = locustfile("""
        class Caller(User):
            wait_time = constant(0.02)

            @task
            def predict(self):
                self.environment.events.request.fire(
                    request_type="grpc", name="predict", response_time=-5, response_length=0, exception=None, context={}
                )
        """)
    samples = run(file, tmp_path).samples
    assert samples.failed.all()
    assert (samples.done_s >= samples.sent_s).all()
