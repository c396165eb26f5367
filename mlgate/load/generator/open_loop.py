"""The open loop: a greenlet per send, at the schedule's times, whatever the server does."""

import gc
import time
from typing import Any

import gevent
import gevent.pool
import numpy as np
from locust.exception import CatchResponseError

from mlgate.load.answers import AnswerBook, kind_of_status
from mlgate.load.generator.client import Client, in_flight_limit
from mlgate.load.plan import WARM_UP_REQUESTS, LoadPlan
from mlgate.load.samples import ErrorKind, Samples

# How long a stopped run waits for what is under way: the stop is to save time, and a server that hangs answers nothing.
STOP_GRACE_S = 1.0
# epoll counts milliseconds and rounds up, so the event loop wakes that much late: before a send that is far enough, it wakes
# early and looks at the clock for the rest. Between close sends that would keep a core busy and delay the reading of answers
# (tried at 1 000/s: 5.9 ms became 8.3), and answers wake the loop anyway.
WAKE_S, FAR_S = 0.001, 0.005
# The longest sleep, so that a stop is noticed at any rate.
NAP_S = 0.2


class OpenLoop:
    """Sends a plan and fills its rows.

    Args:
        plan: What to send; of a distributed run, this process's share.
        rows: One a send, in the plan's order, filled in place; `error` last, so that no reader takes a half for a whole.
        book: Reads answers and keeps some.
        requests: Locust's event of a finished request, for its statistics and its report.
    """

    def __init__(self, plan: LoadPlan, rows: Samples, book: AnswerBook, requests: Any) -> None:
        self._plan, self._rows, self._book, self._requests = plan, rows, book, requests
        self._body, self._target = (column.tolist() for column in plan.columns())
        self._names = [target.path if len(plan.targets) == 1 else target.url + target.path for target in plan.targets]
        self._limit = in_flight_limit(_needed_in_flight(plan))
        self._client = Client(plan, self._limit)
        self._stop_s = float("inf")
        self.started_at = 0.0
        # The rows that changed since somebody last took them.
        self.touched: set[int] = set()

    def warm_up(self) -> None:
        """Open connections and run first requests' code on both sides; none of it is a sample."""
        for target, each in enumerate(self._plan.targets):
            for index in range(WARM_UP_REQUESTS):
                status, content, _ = self._client.ask(target, index % len(each.bodies))
                if not status:
                    break  # one that hangs, or is gone: the run tells, and sooner than two more deadlines
                if status == 200:
                    self._book.judge(target, index % len(each.bodies), content, progress=0.0)
        # What exists now stays; without this, each full collection during the run would walk all of locust's modules.
        gc.collect()
        gc.freeze()

    def stop(self, at_s: float) -> None:
        """Send nothing that is meant to leave at *at_s* (seconds since second 0) or later."""
        self._stop_s = min(self._stop_s, at_s)

    @property
    def stopped_s(self) -> float | None:
        """When the run was stopped, in seconds since its second 0; None where it was not."""
        return None if self._stop_s == float("inf") else self._stop_s

    def run(self, started_at: float) -> None:
        """Send all, from *started_at* (of `time.monotonic`) on, and wait for what is outstanding."""
        self.started_at = started_at
        pool = gevent.pool.Pool()
        failures: list[BaseException] = []
        for index, intended_s in enumerate(self._plan.schedule.sends_s.tolist()):
            early_s = WAKE_S if started_at + intended_s - time.monotonic() > FAR_S else 0.0
            # A loop, because the event loop's cached clock can wake it early.
            while (wait_s := started_at + intended_s - time.monotonic()) > 0 and intended_s < self._stop_s:
                gevent.sleep(min(max(wait_s - early_s, 0.0), NAP_S))
            if intended_s >= self._stop_s or failures:
                break
            if len(pool) < self._limit:
                pool.spawn(self._send, index, intended_s).link_exception(lambda done: failures.append(done.exception))
        self._wait(pool)
        if failures:
            raise failures[0]

    def _wait(self, pool: Any) -> None:
        # Each request ends itself at its own deadline; the second is for the event loop.
        deadline = time.monotonic() + self._plan.timeout_s + 1
        while len(pool) and time.monotonic() < deadline:
            if self.stopped_s is not None:
                deadline = min(deadline, max(self.started_at + self.stopped_s, 0) + STOP_GRACE_S)
            pool.join(timeout=min(NAP_S, max(deadline - time.monotonic(), 0)))
        pool.kill(block=False)
        self._give_up()

    def _give_up(self) -> None:
        """Close the rows whose answers did not come: the wait for them ends now."""
        waiting = np.flatnonzero(self._rows.waiting)
        now_s = time.monotonic() - self.started_at
        self._rows.done_s[waiting] = np.minimum(now_s, self._rows.sent_s[waiting] + self._plan.timeout_s)
        self._rows.error[waiting] = ErrorKind.TIMEOUT
        self.touched.update(waiting.tolist())

    def _send(self, index: int, intended_s: float) -> None:
        rows, target, body = self._rows, self._target[index], self._body[index]
        rows.sent_s[index] = time.monotonic() - self.started_at
        self.touched.add(index)
        status, content, error = self._client.ask(target, body)
        done_s = time.monotonic() - self.started_at
        error, place = self._judge(target, body, status, content, error, intended_s)
        rows.status[index], rows.size[index], rows.answer[index] = status, len(content), place
        rows.done_s[index] = done_s
        rows.error[index] = error
        self.touched.add(index)
        self._tell_locust(self._names[target], (done_s - intended_s) * 1000, status, len(content), error)

    def _judge(
        self, target: int, body: int, status: int, content: bytes, error: ErrorKind, intended_s: float
    ) -> tuple[ErrorKind, int]:
        if error or status != 200:
            # A status that came says more than the cut after it.
            return (kind_of_status(status) if status else error) or error, -1
        progress = min(max(intended_s / self._plan.schedule.duration_s, 0.0), 1.0)
        return self._book.judge(target, body, content, progress=progress)

    def _tell_locust(self, name: str, response_ms: float, status: int, size: int, error: ErrorKind) -> None:
        # Locust's own statistics and report then show what a caller who does not wait in line would see.
        exception = CatchResponseError(f"{error.label} {status or ''}".strip()) if error else None
        self._requests.fire(
            request_type="POST",
            name=name,
            response_time=response_ms,
            response_length=size,
            exception=exception,
            context={},
            response=None,
        )


def _needed_in_flight(plan: LoadPlan) -> int:
    """Return the most sends of any stretch as long as the timeout, for all may wait for all of it; a fifth for a burst."""
    sends_s = plan.schedule.sends_s
    within = np.searchsorted(sends_s, sends_s + plan.timeout_s) - np.arange(len(sends_s))
    return int(within.max(initial=0) * 1.2) + 100
