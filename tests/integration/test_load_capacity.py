"""The no-op server, and the search for the highest rate, in real locust against small servers. Some seconds each."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psutil
import pytest

from mlgate.errors import LoadGeneratorError
from mlgate.load.calibration import Calibration, too_small
from mlgate.load.capacity import Limits
from mlgate.load.closed_loop import find_capacity
from mlgate.load.locust import run_load
from mlgate.load.noop import noop_server
from mlgate.load.plan import LoadPlan, Target
from mlgate.load.schedule import constant

GOOD = b'{"predictions": [1.0]}'


def post(url, body=b"{}"):
    return urllib.request.urlopen(urllib.request.Request(f"{url}/invocations", data=body), timeout=10).read()


def answers(url):
    try:
        return bool(post(url))
    except OSError:
        return False


@contextmanager
def one_at_a_time(service_s: float, status: int = 200) -> Iterator[str]:
    """Serve in a thread, one request after the other, each in *service_s*."""
    loop, ready, urls = asyncio.new_event_loop(), threading.Event(), []

    async def start():
        lock = asyncio.Lock()

        async def serve(reader, writer):
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    length = int(head.lower().split(b"content-length:")[1].split()[0])
                    await reader.readexactly(length)
                    async with lock:
                        await asyncio.sleep(service_s)
                    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(GOOD), GOOD))
            except (asyncio.IncompleteReadError, OSError):
                writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
        urls.append(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        ready.set()

    def run():
        loop.run_until_complete(start())
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def search(url, folder, limits, **options):
    target = Target(url=url, bodies=(b'{"a": 1}', b'{"a": 22}'), rows=(1, 1))
    return find_capacity(target, limits, folder=folder, step_s=0.8, discard_s=0.2, **options)


@pytest.mark.alone
def test_a_no_op_server_answers_any_number_at_once_after_its_service_time():
    """Ten at a time take as long as one; keep-alive, and as many predictions as asked for."""
    with noop_server(service_s=0.2, rows=3) as url:
        began = time.perf_counter()
        assert json.loads(post(url, b"x" * 300_000)) == {"predictions": [0.0, 0.0, 0.0]}
        alone_s = time.perf_counter() - began
        began = time.perf_counter()
        threads = [threading.Thread(target=post, args=(url,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        together_s = time.perf_counter() - began
    assert alone_s >= 0.199
    assert together_s < 5 * alone_s


def test_a_no_op_server_keeps_to_its_cores():
    """So that it does not wait for the generator, nor the generator for it."""
    core = min(os.sched_getaffinity(0))
    with noop_server(cores=[core]):
        (server,) = (child for child in psutil.Process().children() if "noop.py" in " ".join(child.cmdline()))
        assert server.cpu_affinity() == [core]


def test_a_no_op_server_ends_with_its_owner():
    """Also where the owner is killed and can not say so."""
    code = (
        "from mlgate.load.noop import noop_server\nwith noop_server() as url:\n    print(url, flush=True)\n    input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        url = owner.stdout.readline().strip()
        post(url)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    deadline = time.monotonic() + 30
    while answers(url):
        assert time.monotonic() < deadline


def test_cores_that_are_not_there_are_an_error():
    """Not a server that runs anywhere else."""
    with pytest.raises(OSError, match="did not start"), noop_server(cores=[4095]):
        pass


@pytest.mark.alone
def test_the_first_part_of_a_run_calibrates_the_rest(tmp_path):
    """The same generator sends the same schedule to the no-op server first; only what that adds counts."""
    with noop_server(service_s=0.005) as noop, noop_server(service_s=0.3) as model:
        targets = tuple(Target(url=url, bodies=(b"{}",), rows=(1,)) for url in (model, noop))
        schedule = constant(50, 4)
        target = (schedule.sends_s < 2).astype(np.uint8)
        run = run_load(LoadPlan(targets=targets, schedule=schedule, target=target), folder=tmp_path / "load")
    to_noop, to_model = (run.samples.take(run.samples.target == place) for place in (1, 0))
    found = Calibration.of(to_noop, service_ms=5, generator_cpu_share=run.health.cpu_share)
    assert found.n == 100
    # The model takes 300 ms, and nothing of that is the host's.
    assert (to_model.response_ms >= 299).all()
    assert found.added_p95_ms < 150
    assert too_small(found, 10_000, 50) is None
    # A host that made a server of 5 ms one of 300 would be too small for a limit of a second.
    slow_host = Calibration.of(to_model, service_ms=5)
    assert "against a server of 5 ms, answers at 50/s came " in too_small(slow_host, 1000, 50)


@pytest.mark.alone
def test_the_capacity_is_where_a_limit_is_first_exceeded(tmp_path):
    """20 ms a request and one at a time: 50/s at most, and beyond two callers nobody waits less than 60 ms."""
    with one_at_a_time(0.02) as url:
        found = search(url, tmp_path, Limits(p95_ms=55.0))
    assert 25 <= found.rate <= 51
    assert found.callers <= 2
    assert found.stopped_by.startswith(("p95", "the rate no longer grows"))
    assert found.steps[0].p50_ms >= 20
    assert not found.generator_is_the_limit


@pytest.mark.alone
def test_a_server_that_takes_all_at_once_carries_more_with_more_callers(tmp_path):
    """50 ms each: four callers get four times what one does."""
    with noop_server(service_s=0.05) as url:
        found = search(url, tmp_path, Limits(p95_ms=5000.0), most_callers=4)
    assert [step.callers for step in found.steps] == [1, 2, 4]
    assert found.callers == 4
    assert 3 <= found.rate / found.steps[0].rate <= 5
    assert all(step.errors == 0 for step in found.steps)
    assert (tmp_path / "capacity.log").exists()


def test_answers_that_are_none_have_no_capacity(tmp_path):
    """A server that refuses fast does not carry anything; nor does one whose answers are too short."""
    with one_at_a_time(0.001, status=503) as url:
        found = search(url, tmp_path, Limits())
    assert (found.rate, found.stopped_by) == (0.0, "errors 100 % > 1 % with 1 caller")
    with noop_server(rows=1) as url:
        target = Target(url=url, bodies=(b"{}",), rows=(7,))
        assert find_capacity(target, Limits(), folder=tmp_path, step_s=0.5, discard_s=0.1).rate == 0.0


def test_a_search_that_breaks_off_is_an_error_of_the_generator(tmp_path):
    """A header that HTTP can not carry is nothing that the model did."""
    with noop_server() as url:
        target = Target(url=url, bodies=(b"{}",), headers={"X-Token": "two\nlines"})
        with pytest.raises(LoadGeneratorError, match=r"load\.capacity: the load generator exited with code 3"):
            find_capacity(target, Limits(), folder=tmp_path, step_s=0.5, discard_s=0.1)
