"""Kill `mlgate promote` after each answer of the server, run it again, and tell what there is then: a script for its test.

A process that has imported everything and opened nothing forks a child for each promotion, so that hundreds of them take
no longer than their calls.
"""

import functools
import json
import os
import signal
import sys
import time
from pathlib import Path

import mlflow  # noqa: F401  (imported once, for every child)
import requests

import mlgate.cli.promote
import mlgate.locking.lock
import mlgate.promotion.move
from mlgate.cli import app
from mlgate.model_version import ModelUri
from mlgate.registry.mlflow import MlflowRegistry
from tests.integration.test_mlflow_registry import add_to_mlflow
from tests.promotable import POLICY_TEXT, evidence_about, model, publish_evidence

EXPIRY_S = 3.0
MOST = 60


def in_child(work) -> int:
    """Run *work* in a fork, and return its exit status; minus the signal where it was killed."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def killed_after(count: int) -> None:
    """Make this process kill itself after so many answers of a server; zero for never."""
    send, seen = requests.Session.send, 0

    def counted(self, *arguments, **options):
        nonlocal seen
        answer = send(self, *arguments, **options)
        seen += str(answer.url).startswith(os.environ["MLFLOW_TRACKING_URI"])
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    requests.Session.send = counted


def promote(name: str, kill: int = 0) -> int:
    """Promote version 1 of a model, as the command does."""
    lock_for = mlgate.locking.lock.lock_for
    mlgate.locking.lock.lock_for = functools.partial(lock_for, expiry_s=EXPIRY_S)
    killed_after(kill)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = nowhere
        return app.run(["promote", f"models:/{name}/1", "--yes"])


def prepare(uri: str, folder: Path, names: list[str]) -> int:
    """Register and test one version of each model."""
    place = model(folder / "model", "weights")
    for name in names:
        add_to_mlflow(uri, name, place)
        registry = MlflowRegistry(uri)
        version = registry.resolve(ModelUri.parse(f"models:/{name}/1"))
        publish_evidence(registry, version, evidence_about(version, place))
    return 0


def found(uri: str, names: list[str], told: Path) -> int:
    """Write what there is of each model: where the alias is, what is on record and how far, and what can not be explained."""
    from mlgate.promotion.journal import read_journal

    registry = MlflowRegistry(uri)
    states = []
    for name in names:
        stored, aliases = registry.events(name), registry.aliases(name)
        journal = read_journal(name, stored)
        states.append(
            {
                "aliases": dict(aliases),
                "moves": [[entry.event.before, entry.event.after] for entry in journal.done],
                "events": [str(event.state) for event in stored],
                "unexplained": [anomaly.message for anomaly in journal.anomalies(aliases)],
            }
        )
    told.write_text(json.dumps(states))
    return 0


def main(uri: str, folder: Path, prefix: str) -> None:
    """Kill after the first answer, after the second, …, until a promotion is through; then run each of them again."""
    os.environ["MLFLOW_TRACKING_URI"], os.environ["MLGATE_CACHE"] = uri, str(folder / "cache")
    os.chdir(folder)
    (folder / "mlgate.yaml").write_text(POLICY_TEXT)
    names = [f"{prefix}-{count}" for count in range(MOST)]
    in_child(lambda: prepare(uri, folder, names))
    statuses = []
    for count in range(1, MOST):
        statuses.append(in_child(functools.partial(promote, names[count], count)))
        if statuses[-1] == 0:
            break
    time.sleep(EXPIRY_S)
    tried = names[1 : len(statuses) + 1]
    again = [in_child(functools.partial(promote, name)) for name in tried]
    in_child(lambda: found(uri, tried, folder / "states.json"))
    document = {"killed": statuses, "again": again, "states": json.loads((folder / "states.json").read_text())}
    (folder / "told.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
