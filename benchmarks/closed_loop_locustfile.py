"""What a locust user writes for "100 requests a second": users that pace themselves with `constant_throughput`.

Their first sends are spread evenly over a second's worth, so that nothing but their pacing is to blame for what they report.
"""

import itertools
import os
import time

import gevent
from locust import FastHttpUser, constant_throughput, task

RATE, USERS = float(os.environ["CLOSED_LOOP_RATE"]), int(os.environ["CLOSED_LOOP_USERS"])
NUMBERS = itertools.count()


class PacedUser(FastHttpUser):
    """One of the users."""

    wait_time = constant_throughput(RATE / USERS)

    def on_start(self) -> None:
        """Wait for its place."""
        gevent.sleep(next(NUMBERS) / RATE)
        self._cp_last_run = (
            time.perf_counter()
        )  # else the pacing would take this wait off the first one, and all send at once

    @task
    def predict(self) -> None:
        """One request."""
        self.client.post("/invocations", data=b'{"inputs": [[1.0]]}', headers={"Content-Type": "application/json"})
