"""The search for the highest rate within the limits. Locust runs this file in a process of its own; nothing imports it."""

import gc
import logging
import os
import time
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from locust import User, task
from locust.exception import StopUser

from mlgate.load.answers import AnswerBook, kind_of_status
from mlgate.load.capacity import Step, next_callers
from mlgate.load.closed_loop import Search, tell_steps
from mlgate.load.generator.client import Client, in_flight_limit
from mlgate.load.generator.parent import Parent, take_place
from mlgate.load.plan import PLAN_VARIABLE, WARM_UP_REQUESTS, LoadPlan
from mlgate.load.samples import ROW, Samples

logger = logging.getLogger("mlgate.load")

PRIVATE = Path(os.environ[PLAN_VARIABLE])
PARENT = Parent(PRIVATE)
take_place()

# Exit code of a search that broke off. Locust itself uses 0, 1 and 2.
UNFINISHED = 3


class ClosedLoop:
    """Callers who each send their next request as soon as the last is answered.

    Args:
        plan: Whom to ask, what, and how long to wait; its schedule is not used.
        search: How long, and within which limits.
    """

    def __init__(self, plan: LoadPlan, search: Search) -> None:
        self._plan, self._search = plan, search
        self._most = min(search.most_callers, in_flight_limit(search.most_callers))
        self._client = Client(plan, self._most)
        self._book = AnswerBook(plan.targets)
        self._bodies = len(plan.targets[0].bodies)
        self._asked = 0

    def run(self) -> list[Step]:
        """Take step after step until enough is known."""
        for _ in range(WARM_UP_REQUESTS):
            self._ask()
        gc.collect()
        gc.freeze()
        steps: list[Step] = []
        while (callers := next_callers(steps, most=self._most)) is not None:
            steps.append(self._step(callers))
            logger.info("%s callers: %.1f/s %s", callers, steps[-1].rate, steps[-1].exceeded)
        return steps

    def _step(self, callers: int) -> Step:
        """Run *callers* for one step. What was sent in its first part only brings the server to its new state."""
        search = self._search
        rows: list[tuple[Any, ...]] = []
        began_at = time.monotonic()
        until = began_at + search.discard_s + search.step_s
        calling = [gevent.spawn(self._call, began_at, until, rows) for _ in range(callers)]
        gevent.sleep(search.discard_s)
        cpu_s, wall_s = time.process_time(), time.monotonic()
        gevent.sleep(max(until - time.monotonic(), 0))
        cpu_share = (time.process_time() - cpu_s) / (time.monotonic() - wall_s)
        # Those that wait still belong to the step: leaving them out would leave out the slowest.
        gevent.joinall(calling, raise_error=True)
        samples = Samples.of_rows(np.array(rows, ROW))
        measured = samples.take(samples.sent_s >= search.discard_s)
        return Step.of(
            measured, callers=callers, seconds=search.step_s, generator_cpu_share=cpu_share, limits=search.limits
        )

    def _call(self, began_at: float, until: float, rows: list[tuple[Any, ...]]) -> None:
        while (sent_at := time.monotonic()) < until:
            size, status, body, error = self._ask()
            sent_s, done_s = sent_at - began_at, time.monotonic() - began_at
            rows.append((sent_s, sent_s, done_s, size, status, body, -1, 0, error))

    def _ask(self) -> tuple[int, int, int, int]:
        """Send the next body; return size and status of the answer, the body's place and what was wrong."""
        body = self._asked % self._bodies
        self._asked += 1
        status, content, error = self._client.ask(0, body)
        if error or status != 200:
            error = (kind_of_status(status) if status else error) or error
        else:
            error, _ = self._book.judge(0, body, content)
        return len(content), status, body, error


class ClosedLoopUser(User):  # type: ignore[misc]  # locust ships no types
    """One user, whose only task is the search."""

    @task  # type: ignore[untyped-decorator]  # locust ships no types
    def search(self) -> None:
        """Find the capacity, leave the steps, stop locust."""
        # Locust logs the exceptions of a task and goes on; anything but a finished search must end in an exit code.
        self.environment.process_exit_code = UNFINISHED
        try:
            tell_steps(PRIVATE, ClosedLoop(LoadPlan.read(PRIVATE), Search.read(PRIVATE)).run())
            self.environment.process_exit_code = 0
        except Exception as error:
            logger.exception("%r", error)  # noqa: TRY401  (the first line is what the parent quotes)
        gevent.spawn(self.environment.runner.quit)
        raise StopUser
