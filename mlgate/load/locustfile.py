"""The load generator. Locust runs this file in a process of its own; nothing imports it.

Importing locust patches `socket` and `threading` for the whole process, so it must never happen in pytest's.
"""

import contextlib
import gc
import json
import logging
import os
import re
import resource
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import gevent
import gevent.os
import gevent.pool
from geventhttpclient.connectionpool import ConnectionPool
from locust import FastHttpUser, task
from locust.exception import StopUser

from mlgate.load import samples as codes
from mlgate.load.plan import HEALTH_FILE, PLAN_VARIABLE, SAMPLES_FILE, WARM_UP_REQUESTS, LoadPlan
from mlgate.load.samples import Samples
from mlgate.scoring.v2 import holds_null

logger = logging.getLogger("mlgate.load")

# Where it is allowed, ahead of the server on a shared core: tried with three busy processes on two cores, the send lag
# p99 at 100/s fell from 10 ms to 5 ms. The generator takes 4 % of a core, so it takes little from anyone.
with contextlib.suppress(OSError):
    os.nice(-10)

PRIVATE = Path(os.environ[PLAN_VARIABLE])
PLAN = LoadPlan.read(PRIVATE)

# Exit code of a run that broke off. Locust itself uses 0, 1 and 2.
UNFINISHED = 3

# Descriptors that the process needs besides its connections: logs, reports, the event loop, Python's own imports.
SPARE_DESCRIPTORS = 100
# Every request may wait for its whole timeout, and the schedule does not wait for it; a fifth more for a burst.
NEEDED_IN_FLIGHT = int(PLAN.schedule.rate * PLAN.timeout_s * 1.2) + 100


def _in_flight_limit() -> int:
    """Raise the limit of open files to what the plan needs; return how many requests may be under way at once.

    A request beyond it is dropped and counted: an "open files" error would be blamed on the server.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = NEEDED_IN_FLIGHT + SPARE_DESCRIPTORS
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return max(1, target - SPARE_DESCRIPTORS)


MAX_IN_FLIGHT = _in_flight_limit()

# A cheap filter; what it finds is confirmed by a parser, because a label may read "Infinity".
NOT_FINITE_TOKEN = re.compile(rb"\b(?:NaN|Infinity)\b")


def _no_delay(_pool: ConnectionPool, sock: Any) -> None:
    """Send a body's last partial segment at once: Nagle would hold it for the server's delayed ACK, 40 ms on Linux."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


ConnectionPool.after_connect = _no_delay  # type: ignore[method-assign,assignment]  # a hook; the pool calls it bound


def _holds_not_finite(body: bytes) -> bool:
    if not NOT_FINITE_TOKEN.search(body):
        return False
    found: list[str] = []
    try:
        json.loads(body, parse_constant=found.append)
    except (ValueError, RecursionError):
        return False  # no JSON at all; the schema suite judges that
    return bool(found)


def _code_of(error: BaseException | None) -> str:
    """Return the samples' code for what the client raised instead of an answer."""
    cause = getattr(error, "original", None) or error
    is_timeout = isinstance(cause, gevent.Timeout | TimeoutError)
    return codes.TIMEOUT if is_timeout else codes.CONNECTION


def _die_with_parent() -> None:
    """Exit at end of file on stdin: the parent holds the other end, and its death, by SIGKILL too, closes it."""
    gevent.os.tp_read(0, 1)
    shutil.rmtree(PRIVATE, ignore_errors=True)  # it holds bodies and headers, and its owner can not remove it any more
    os._exit(1)


class OpenLoopUser(FastHttpUser):  # type: ignore[misc]  # locust ships no types
    """One user whose sends follow the schedule, each in a greenlet of its own, over one pool of connections."""

    network_timeout = PLAN.timeout_s
    connection_timeout = PLAN.timeout_s
    concurrency = MAX_IN_FLIGHT  # the default of 10 would turn the open loop into a closed one
    max_redirects = 0
    max_retries = 0

    @task  # type: ignore[untyped-decorator]  # locust ships no types
    def run_schedule(self) -> None:
        """Warm up, send, wait for what is outstanding, write the samples, stop locust."""
        # Locust logs the exceptions of a task and goes on; anything but a finished run must end in an exit code.
        self.environment.process_exit_code = UNFINISHED
        gevent.spawn(_die_with_parent)
        try:
            self._measure(Path.cwd())
            self.environment.process_exit_code = 0
        except Exception as error:
            logger.exception("%r", error)  # noqa: TRY401  (the first line is what the parent quotes)
        # quit() kills this greenlet, so another one has to call it; without StopUser the task would begin again.
        gevent.spawn(self.environment.runner.quit)
        raise StopUser

    def _measure(self, folder: Path) -> None:
        self.client.client.cookiejar = None  # a server's cookies are no part of a scoring request
        self._headers = {"Content-Type": PLAN.content_type, "Accept-Encoding": "identity", **PLAN.headers}
        self._warm_up()
        self._samples = Samples.unsent(PLAN.schedule.sends_s)
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        self._send_all()
        cpu_share = (time.process_time() - cpu_s) / (time.perf_counter() - wall_s)
        self._samples.write(folder / SAMPLES_FILE)
        (folder / HEALTH_FILE).write_text(json.dumps({"cpu_share": cpu_share}), encoding="utf-8")

    def _warm_up(self) -> None:
        for index in range(WARM_UP_REQUESTS):
            self._request(PLAN.bodies[index % len(PLAN.bodies)])
        self.environment.stats.reset_all()
        # What exists now stays; without this, each full collection during the run would walk all of locust's modules.
        gc.collect()
        gc.freeze()

    def _send_all(self) -> None:
        pool = gevent.pool.Pool()
        self._start = time.perf_counter()
        for index, intended_s in enumerate(PLAN.schedule.sends_s.tolist()):
            # A loop, because the event loop's cached clock can wake it early.
            while (wait_s := self._start + intended_s - time.perf_counter()) > 0:
                gevent.sleep(wait_s)
            if len(pool) < MAX_IN_FLIGHT:
                pool.spawn(self._send, index, intended_s)
        # Each request ends itself at its own deadline; the second is for the event loop.
        pool.join(timeout=PLAN.timeout_s + 1)
        pool.kill(block=False)

    def _send(self, index: int, intended_s: float) -> None:
        rows = self._samples
        rows.sent_s[index] = time.perf_counter() - self._start
        # Should this greenlet never come back, the row says so.
        rows.done_s[index] = rows.sent_s[index] + PLAN.timeout_s
        rows.error[index] = codes.TIMEOUT
        with self._request(PLAN.bodies[index % len(PLAN.bodies)]) as response:
            done_s = time.perf_counter() - self._start
            error = self._judge(response)
            rows.done_s[index], rows.status[index] = done_s, response.status_code or 0
            rows.size[index], rows.error[index] = response.request_meta["response_length"], error
            # Locust's own statistics and report then show what a caller who does not wait in line would see.
            response.request_meta["response_time"] = (done_s - intended_s) * 1000
            if error:
                response.failure(f"{error} {response.status_code or ''}".strip())
            else:
                response.success()

    def _request(self, body: bytes) -> Any:
        # The client's own timeouts are per socket operation: a server that trickles would never meet them.
        with gevent.Timeout(PLAN.timeout_s):
            return self.client.post(PLAN.path, data=body, headers=self._headers, catch_response=True)

    def _judge(self, response: Any) -> str:
        """Return the error code of *response*; empty for a good answer."""
        cut_short = response.request_meta["exception"] is not None and response.status_code == 200
        if not response.status_code or cut_short:
            return _code_of(response.request_meta["exception"])
        if response.status_code != 200:
            return codes.STATUS
        body = response.content or b""
        not_finite = PLAN.reject_not_finite and _holds_not_finite(body)
        return codes.NOT_FINITE if not_finite or (PLAN.reject_null and holds_null(body)) else ""
