"""One of several processes that want the same thing: reads a command a line, answers with a line of JSON.

Run by `test_promote_lock.py`; the import of mlflow takes seconds, so a process serves all rounds.
"""

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.locking.lock import keeper
from mlgate.promotion.journal import Action, Event
from mlgate.promotion.move import move
from mlgate.registry import mlflow as mlflow_adapter
from mlgate.registry.mlflow import MlflowRegistry
from mlgate.verdict import format_time


class Witness(MlflowRegistry):
    """A registry that notices two at once in what the lock is for."""

    witness = ""

    def set_alias(self, name, alias, version):
        descriptor = os.open(self.witness, os.O_CREAT | os.O_EXCL)
        try:
            super().set_alias(name, alias, version)
        finally:
            os.close(descriptor)
            Path(self.witness).unlink()


registries = {}
kept = []  # a lock that nobody holds on to is given back
# On a busy machine a server that fifty ask at once may take its time; the question here is who wins.
mlflow_adapter._PROBE_AGE_S = 3600.0


def registry_of(command):
    registry = registries.get(command["uri"])
    if registry is None:
        registry = registries[command["uri"]] = Witness(command["uri"])
        registry.aliases(command["name"])  # connected, before anybody is in a hurry
    registry.witness = command["witness"]
    return registry


def wanted(command, version):
    """The promotion of a version, as the command records it."""
    digest = "sha256:" + "a" * 64
    return Event(
        action=Action.PROMOTE, name=command["name"], alias="champion", before=None, after=version, artifact_digest=digest,
        evidence=digest, run_id="r", signer=None, policy=digest, waived=(), reason="", by="contender", at=format_time(datetime.now(UTC)),
    )  # fmt: skip


def contend(command):
    """Promote a version in each of some threads, at the moment that the command names."""
    registry, barrier = registry_of(command), threading.Barrier(len(command["versions"]))

    def one(version):
        barrier.wait(60)
        time.sleep(max(0.0, command["at"] - time.time()))
        try:
            done = move(registry, wanted(command, version), seen=command["before"])
            assert done.moved
        except MlgateError as error:
            return version, error.exit_code, str(error)
        except Exception as error:  # noqa: BLE001 - the test is told of any
            return version, -1, repr(error)
        return version, 0, ""

    with ThreadPoolExecutor(len(command["versions"])) as pool:
        return list(pool.map(one, command["versions"]))


def hold(command):
    """Take the lock, and keep it."""
    held = keeper(registry_of(command)).acquire(command["name"], holder="the doomed", expiry_s=command["expiry_s"])
    held.check()
    kept.append(held)
    return "held"


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import mlflow  # noqa: F401 - here, and not in the first round

    say("ready")
    for line in sys.stdin:
        command = json.loads(line)
        say({"contend": contend, "hold": hold}[command["do"]](command))
