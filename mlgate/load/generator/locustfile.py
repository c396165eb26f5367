"""The load generator. Locust runs this file in processes of their own; nothing imports it.

Importing locust patches `socket` and `threading` for the whole process, so it must never happen in pytest's.
"""

import logging
import os
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust import User, events, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from mlgate.load.generator.alone import run_alone
from mlgate.load.generator.master import Master
from mlgate.load.generator.parent import Parent, take_place
from mlgate.load.generator.worker import Worker
from mlgate.load.plan import PLAN_VARIABLE

logger = logging.getLogger("mlgate.load")

PRIVATE = Path(os.environ[PLAN_VARIABLE])
PARENT = Parent(PRIVATE)
take_place()

# Exit code of a run that broke off. Locust itself uses 0, 1 and 2.
UNFINISHED = 3


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust ships no types
def take_role(environment: Any, **_: Any) -> None:
    """Be the master, or get ready to be a worker."""
    # Locust logs the exceptions of a task and goes on; anything but a finished run must end in an exit code.
    environment.process_exit_code = UNFINISHED
    if isinstance(environment.runner, MasterRunner):
        gevent.spawn(_lead, environment, Master(environment, PRIVATE, PARENT))
    elif isinstance(environment.runner, WorkerRunner):
        environment.mlgate_worker = Worker(environment)


def _lead(environment: Any, master: Master) -> None:
    try:
        master.run()
        environment.process_exit_code = 0
    except Exception as error:
        logger.exception("%s", error)  # noqa: TRY401  (the first line is what the parent quotes)
    environment.runner.quit()


class OpenLoopUser(User):  # type: ignore[misc]  # locust ships no types
    """One user a process, whose only task is the run: locust's users wait for their answers, the schedule does not."""

    @task  # type: ignore[untyped-decorator]  # locust ships no types
    def run_schedule(self) -> None:
        """Do this process's part; then stop locust, or wait until the master does."""
        worker = getattr(self.environment, "mlgate_worker", None)
        try:
            if worker is None:
                run_alone(self.environment, PRIVATE, PARENT)
            else:
                worker.run()
            self.environment.process_exit_code = 0
        except Exception as error:
            logger.exception("%r", error)  # noqa: TRY401  (the first line is what the parent quotes)
            if worker is not None:
                worker.fail(error)
        if worker is not None:
            Event().wait()
        # quit() kills this greenlet, so another one has to call it; without StopUser the task would begin again.
        gevent.spawn(self.environment.runner.quit)
        raise StopUser
