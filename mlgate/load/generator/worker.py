"""One of several processes of the generator: it drives its share of the schedule and tells the master what became of it."""

import json
import os
import time
from typing import Any

import gevent
import locust.runners
import numpy as np
from gevent.event import AsyncResult

import mlgate
from mlgate.load.answers import AnswerBook
from mlgate.load.generator import messages
from mlgate.load.generator.open_loop import OpenLoop
from mlgate.load.plan import LoadPlan
from mlgate.load.process import URLS_VARIABLE
from mlgate.load.samples import Samples, unsent_rows

# Twice a second and a bit more, so that whoever looks twice a second sees something new.
REPORT_S = 0.4
# Between two greetings, until the plan comes: the master may still be starting.
HELLO_S = 0.5
# A master answers a heartbeat a second. Left to itself, locust sends for a minute to a run that is gone.
MASTER_SILENCE_S = 10


class Worker:
    """Drives one share of a run, as the master says.

    Args:
        environment: Locust's, with its `WorkerRunner`.
    """

    def __init__(self, environment: Any) -> None:
        locust.runners.MASTER_HEARTBEAT_TIMEOUT = MASTER_SILENCE_S
        self._environment, self._runner = environment, environment.runner
        self._plan, self._start, self._stop = AsyncResult(), AsyncResult(), AsyncResult()
        for name, result in (
            (messages.PLAN, self._plan),
            (messages.START, self._start),
            (messages.STOP, self._stop),
        ):
            self._runner.register_message(name, messages.listener(result.set))
        gevent.spawn(self._say_hello)

    def run(self) -> None:
        """Warm up, wait for the common start, send the share, report rows as they change."""
        given = self._plan.get().data
        share = _Share(given, self._environment.events.request)
        share.loop.warm_up()
        self._runner.send_message(messages.READY)
        start = self._start.get().data
        cpu_s = time.process_time()
        # Elsewhere the message's way is the difference: well below a millisecond in one network.
        here = start["clock"] == messages.clock()
        self._stop.rawlink(lambda stop: share.loop.stop(stop.value.data["at_s"]))
        reporter = gevent.spawn(self._report, share)
        share.loop.run(start["at"] if here else time.monotonic() + start["in_s"])
        reporter.kill()
        self._tell(share)
        # The channel keeps the order: when the master hears that this is all, it has all statistics too.
        self._runner._send_stats()  # noqa: SLF001  (locust sends them every 3 s and at its own end)
        self._runner.send_message(messages.DONE, {"cpu_s": time.process_time() - cpu_s})

    def fail(self, error: BaseException) -> None:
        """Tell the master why this share can not be driven."""
        self._runner.send_message(messages.FAILED, {"reason": repr(error)})
        gevent.sleep(HELLO_S)  # a thread of the channel's own sends it

    def _say_hello(self) -> None:
        while not self._plan.ready():
            self._runner.send_message(messages.HELLO, {"clock": messages.clock(), "version": mlgate.__version__})
            gevent.sleep(HELLO_S)

    def _report(self, share: "_Share") -> None:
        while True:
            gevent.sleep(REPORT_S)
            self._tell(share)

    def _tell(self, share: "_Share") -> None:
        if message := share.news():
            self._runner.send_message(messages.ROWS, message)


class _Share:
    """A share's rows, and which of them the master has not heard of."""

    def __init__(self, given: dict[str, Any], requests: Any) -> None:
        self._index, self._count = given["index"], given["count"]
        plan = LoadPlan.unpack(given["plan"]).at(json.loads(os.environ.get(URLS_VARIABLE, "[]")))
        self._rows = unsent_rows(plan.schedule.sends_s, *plan.columns())
        self._book = AnswerBook(plan.targets, share=1 / self._count)
        self._told = 0
        self.loop = OpenLoop(plan, Samples.of_rows(self._rows), self._book, requests)

    def news(self) -> dict[str, bytes] | None:
        if not self.loop.touched:
            return None
        touched = np.array(sorted(self.loop.touched), np.int64)
        self.loop.touched.clear()
        kept = self._book.kept[self._told :]
        self._told += len(kept)
        return messages.rows_message(touched * self._count + self._index, self._rows[touched], kept)
