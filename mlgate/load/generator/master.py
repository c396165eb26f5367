"""The first of several processes of the generator: it sends nothing itself, and fills the run's rows from the workers'."""

import logging
import time
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from gevent.event import AsyncResult
from locust.runners import STATE_MISSING

import mlgate
from mlgate.load.answers import AnswerBook, pack
from mlgate.load.generator import messages
from mlgate.load.generator.parent import Parent
from mlgate.load.handover import ANSWERS_FILE, Ran, tell_master, tell_start
from mlgate.load.plan import ROWS_FILE, LoadPlan
from mlgate.load.samples import Samples

logger = logging.getLogger("mlgate.load")

# From the message to second 0: time for it to reach every worker.
LEAD_S = 0.5
# The same for a stop, which is to fall on one second for all.
STOP_LEAD_S = 0.2
# Between two looks at which workers are there.
LOOK_S = 0.5

_COPIED = ("sent_s", "done_s", "size", "status")


class Master:
    """Hands out the shares, starts them together and merges what comes back.

    Args:
        environment: Locust's, with its `MasterRunner`.
        private: Folder of plan and rows, and for what the run reads.
        parent: Who may ask to stop.
    """

    def __init__(self, environment: Any, private: Path, parent: Parent) -> None:
        self._runner, self._private, self._parent = environment.runner, private, parent
        self._plan = LoadPlan.read(private)
        self._rows = Samples.mapped(private / ROWS_FILE, writable=True)
        self._book = AnswerBook(self._plan.targets)
        self._workers: dict[str, int] = {}
        self._places: dict[str, list[int]] = {}
        self._ready: set[str] = set()
        self._cpu_s: dict[str, float] = {}
        self._own_cpu_s = self._started_at = 0.0
        self._stopped_s: float | None = None
        self._over: Any = AsyncResult()
        for name, act in (
            (messages.HELLO, self._on_hello),
            (messages.READY, self._on_ready),
            (messages.ROWS, self._on_rows),
            (messages.DONE, self._on_done),
            (messages.FAILED, self._on_failed),
        ):
            self._runner.register_message(name, messages.listener(self._guarded(act)))
        gevent.spawn(self._watch_workers)
        tell_master(private, self._runner.server.port)

    def run(self) -> None:
        """Wait for the end of the run and leave what the run reads.

        Raises:
            RuntimeError: A worker failed or died.
        """
        self._over.get()
        wall_s = time.monotonic() - self._started_at
        cpu_s = sum(self._cpu_s.values()) + time.process_time() - self._own_cpu_s
        (self._private / ANSWERS_FILE).write_bytes(pack(self._book.kept))
        Ran(started_at=self._started_at, stopped_s=self._stopped_s, cpu_share=cpu_s / wall_s).write(self._private)

    def _guarded(self, act: Any) -> Any:
        """Return *act* so that what it raises ends the run: locust would log it and go on."""

        def run(msg: Any) -> None:
            try:
                act(msg)
            except Exception as error:  # noqa: BLE001  (whatever it is, the samples are not whole any more)
                self._fail(f"{self._name(msg.node_id)}: {msg.type} can not be read ({error!r})")

        return run

    def _name(self, node: str) -> str:
        index = self._workers.get(node)
        return f"worker {node}" if index is None else f"worker {index + 1} of {self._plan.workers} ({node})"

    def _fail(self, reason: str) -> None:
        if not self._over.ready():
            self._over.set_exception(RuntimeError(reason))

    def _on_hello(self, msg: Any) -> None:
        node, count = msg.node_id, self._plan.workers
        if node in self._workers:
            return
        if msg.data["version"] != mlgate.__version__:
            self._fail(f"{self._name(node)} is mlgate {msg.data['version']}, the run is {mlgate.__version__}")
        if len(self._workers) == count:
            self._fail(f"{self._name(node)} came, and {count} are there already")
            return
        index = self._workers[node] = len(self._workers)
        self._places[node] = []
        share = {"plan": self._plan.share(index, count).pack(), "index": index, "count": count}
        self._runner.send_message(messages.PLAN, share, client_id=node)

    def _on_ready(self, msg: Any) -> None:
        self._ready.add(msg.node_id)
        if len(self._ready) < self._plan.workers:
            return
        lead_s = LEAD_S + self._plan.schedule.lead_s
        self._own_cpu_s, self._started_at = time.process_time(), time.monotonic() + lead_s
        start = {"clock": messages.clock(), "at": self._started_at, "in_s": lead_s}
        self._runner.send_message(messages.START, start)
        tell_start(self._private, self._started_at)
        self._parent.on_stop(self._stop)

    def _stop(self) -> None:
        if self._stopped_s is None:
            self._stopped_s = time.monotonic() - self._started_at + STOP_LEAD_S
            self._runner.send_message(messages.STOP, {"at_s": self._stopped_s})

    def _on_rows(self, msg: Any) -> None:
        index, rows, kept = messages.read_rows(msg.data)
        if len(index) and (index % self._plan.workers != self._workers[msg.node_id]).any():
            raise ValueError("rows of another's share")
        done = min(max((time.monotonic() - self._started_at) / self._plan.schedule.duration_s, 0), 1)
        places = self._places[msg.node_id]
        places += [self._book.place_of(answer, progress=done) for answer in kept]
        for name in _COPIED:
            getattr(self._rows, name)[index] = rows[name]
        known = rows["answer"] >= 0
        self._rows.answer[index[known]] = np.array(places, np.int32)[rows["answer"][known]]
        self._rows.error[index] = rows["error"]

    def _on_done(self, msg: Any) -> None:
        self._cpu_s[msg.node_id] = msg.data["cpu_s"]
        if len(self._cpu_s) == self._plan.workers and not self._over.ready():
            self._over.set(None)

    def _on_failed(self, msg: Any) -> None:
        self._fail(f"{self._name(msg.node_id)} failed: {msg.data['reason']}")

    def _watch_workers(self) -> None:
        while not self._over.ready():
            for node in self._workers:
                client = self._runner.clients.get(node)
                # Locust takes one for missing after three seconds without a heartbeat, and forgets one that has quit.
                if client is None or client.state == STATE_MISSING:
                    self._fail(f"{self._name(node)} died or fell silent")
            gevent.sleep(LOOK_S)
