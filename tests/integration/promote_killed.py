"""Kill `promote` or `rollback` after each answer of the server, run it again, and tell what there is then: a script for its test.

A process that has imported everything and opened nothing forks a child for each promotion, so that hundreds of them take
no longer than their calls.
"""

import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
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


def killed_after(count: int) -> Callable[[], int]:
    """Make this process kill itself after so many answers of a server, zero for never; return what counts them."""
    send, seen = requests.Session.send, 0

    def counted(self, *arguments, **options):
        nonlocal seen
        answer = send(self, *arguments, **options)
        seen += str(answer.url).startswith(os.environ["MLFLOW_TRACKING_URI"])
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    requests.Session.send = counted
    return lambda: seen


def moving(words: list[str], kill: int = 0, counted_in: Path | None = None) -> int:
    """Run a command that moves an alias."""
    mlgate.promotion.move.lock_for = functools.partial(mlgate.locking.lock.lock_for, expiry_s=EXPIRY_S)
    seen = killed_after(kill)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = nowhere
        status = app.run([*words, "--yes"])
    if counted_in is not None:
        counted_in.write_text(str(seen()))
    return status


def prepare(uri: str, folder: Path, names: list[str], versions: int) -> int:
    """Register and test versions of each model; of two, both are promoted."""
    place = folder / "model"
    if not place.exists():
        model(place, "weights")
    for name in names:
        registry, before = MlflowRegistry(uri), None
        for number in range(1, versions + 1):
            add_to_mlflow(uri, name, place)
            version = registry.resolve(ModelUri.parse(f"models:/{name}/{number}"))
            publish_evidence(registry, version, evidence_about(version, place, champion=before))
            before = version, place
            if versions > 1 and in_child(functools.partial(moving, ["promote", version.uri])) != 0:
                return 1
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


def main(uri: str, folder: Path, prefix: str, command: str) -> None:
    """Count the answers to an undisturbed command; kill it after each of them; then run each of them again."""
    os.environ["MLFLOW_TRACKING_URI"], os.environ["MLGATE_CACHE"] = uri, str(folder / "cache")
    os.chdir(folder)
    (folder / "mlgate.yaml").write_text(POLICY_TEXT)
    versions = 1 if command == "promote" else 2

    def words(name: str) -> list[str]:
        first, *options = command.split()
        return [first, f"models:/{name}/1" if first == "promote" else name, *options]

    calm = f"{prefix}-calm"
    in_child(lambda: prepare(uri, folder, [calm], versions))
    status = in_child(lambda: moving(words(calm), counted_in=folder / "count"))
    count = int((folder / "count").read_text())
    names = [f"{prefix}-{number}" for number in range(1, count + 1)]
    prepared = in_child(lambda: prepare(uri, folder, names, versions))
    killed = [in_child(functools.partial(moving, words(name), number)) for number, name in enumerate(names, 1)]
    time.sleep(EXPIRY_S)
    again = [in_child(functools.partial(moving, words(name))) for name in names]
    in_child(lambda: found(uri, [calm, *names], folder / "states.json"))
    states = json.loads((folder / "states.json").read_text())
    document = {"calm": [prepared, status], "killed": killed, "again": again, "states": states}
    (folder / "told.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
