"""The generator as one process: it fills the run's own rows."""

import time
from pathlib import Path
from typing import Any

from mlgate.load.answers import AnswerBook, pack
from mlgate.load.generator.open_loop import OpenLoop
from mlgate.load.generator.parent import Parent
from mlgate.load.handover import ANSWERS_FILE, Ran, tell_start
from mlgate.load.plan import ROWS_FILE, LoadPlan
from mlgate.load.samples import Samples


def run_alone(environment: Any, private: Path, parent: Parent) -> None:
    """Send the plan of the folder *private*, and leave there what the run reads."""
    plan = LoadPlan.read(private)
    rows = Samples.mapped(private / ROWS_FILE, writable=True)
    book = AnswerBook(plan.targets)
    loop = OpenLoop(plan, rows, book, environment.events.request)
    loop.warm_up()
    cpu_s, began = time.process_time(), time.monotonic()
    started_at = began + plan.schedule.lead_s
    parent.on_stop(lambda: loop.stop(time.monotonic() - started_at))
    tell_start(private, started_at)
    loop.run(started_at)
    ran = Ran(
        started_at=started_at,
        stopped_s=loop.stopped_s,
        cpu_share=(time.process_time() - cpu_s) / (time.monotonic() - began),
    )
    (private / ANSWERS_FILE).write_bytes(pack(book.kept))
    ran.write(private)
