"""Whether the commands stay quick in a registry that remembers much, and how long a move takes.

Two registered models in one MLflow server on loopback, with sqlite: one of few versions and one of many, each version with
a gate run, and as many moves on record as versions, at most 200. The same command on the one and on the other, in turns,
each a process of its own: the goal is at most twice as long. Then `promote` and `rollback` on the larger one, beside the
import of MLflow's client, which writes: at most 2 s beyond it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
import itertools

from machine import finish, spread

from mlgate.demo.run import mlflow_server
from mlgate.model_version import ModelUri
from mlgate.promotion.journal import Action, Event
from mlgate.registry import tags
from mlgate.registry.interface import EventState
from mlgate.registry.mlflow import MlflowRegistry
from tests.promotable import POLICY_TEXT, evidence_about, model, publish_evidence

FEW, MANY, MOST_MOVES = 10, 1000, 200
RATIO, LIMIT_S = 2.0, 2.0
MLGATE = [sys.executable, "-m", "mlgate"]
IMPORT = [sys.executable, "-c", "from mlflow import MlflowClient"]
COMMANDS = {
    "gate": ("gate", "models:/{name}/{newest}"),
    "status": ("status", "{name}"),
    "history": ("history", "{name}"),
}


def fill(uri: str, folder: Path, name: str, count: int) -> str:
    """Register *count* versions with a gate run each; the newest but one is the champion, which the newest was tested against."""
    from mlflow import MlflowClient

    client, registry, place = MlflowClient(uri), MlflowRegistry(uri), model(folder / f"model-{name}", name)
    client.create_registered_model(name)
    run = client.create_run("0")
    logged = client.create_logged_model("0", name="model", source_run_id=run.info.run_id)
    client.log_model_artifacts(logged.model_id, str(place))
    experiment = client.create_experiment(tags.experiment_name(name))
    for number in range(1, count + 1):
        client.create_model_version(
            name, f"models:/{logged.model_id}", run.info.run_id, model_id=logged.model_id, await_creation_for=0,
            tags={tags.STATUS: "passed"},
        )  # fmt: skip
        other = {tags.ARTIFACT_DIGEST: f"sha256:{number:064x}", **tags.RUN_TYPE}
        client.set_terminated(client.create_run(experiment, tags=other).info.run_id)
    versions = [registry.resolve(ModelUri.parse(f"models:/{name}/{number}")) for number in (1, count - 1, count)]
    record(registry, name, min(count, MOST_MOVES))
    client.set_registered_model_alias(name, "champion", "1")
    for champion, version in itertools.pairwise(versions):
        publish_evidence(registry, version, evidence_about(version, place, champion=(champion, place)))
        if version is versions[1]:
            seconds([*MLGATE, "promote", version.uri, "--yes"], folder)
    return str(count)


def record(registry: MlflowRegistry, name: str, count: int) -> None:
    """Write so many promotions into the journal, the last of them of version 1."""
    digest = "sha256:" + "a" * 64
    event = Event(
        action=Action.PROMOTE, name=name, alias="champion", before=None, after="1", artifact_digest=digest, evidence=digest,
        run_id="r", signer=None, policy=digest, waived=(), reason="", by="benchmark", at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    for number in range(count, 0, -1):
        event = replace(event, after=str(number))
        registry.settle_event(registry.open_event(name, event.canonical()), EventState.CLOSED)
        event = replace(event, before=event.after, previous=event.digest)


def seconds(command: list[str], folder: Path) -> float:
    """Run a command that must succeed; return how long it took."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    taken = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return taken


def reading(folder: Path, newest: dict[str, str], turns: int) -> dict[str, float]:
    """Time each command that reads on the smaller and on the larger model, in turns; return the ratios of the medians."""
    ratios = {}
    for command, words in COMMANDS.items():
        taken: dict[str, list[float]] = {name: [] for name in newest}
        for _ in range(turns):
            for name, times in taken.items():
                line = [word.format(name=name, newest=newest[name]) for word in words]
                times.append(seconds([*MLGATE, *line], folder))
        few, many = taken.values()
        ratios[command] = median(many) / median(few)
        print(f"{command:<9}{spread(few, digits=2):>28}{spread(many, digits=2):>28}{ratios[command]:>9.2f}")
    return ratios


def moving(folder: Path, uri: str, turns: int) -> dict[str, float]:
    """Time a promotion and the rollback after it; return the seconds beyond the import of MLflow's client."""
    taken: dict[str, list[float]] = {"import": [], "promote": [], "rollback": []}
    for _ in range(turns):
        taken["import"].append(seconds(IMPORT, folder))
        taken["promote"].append(seconds([*MLGATE, "promote", uri, "--yes"], folder))
        taken["rollback"].append(seconds([*MLGATE, "rollback", "many", "--yes"], folder))
    beyond = {}
    for command in ("promote", "rollback"):
        beyond[command] = median(taken[command]) - median(taken["import"])
        print(
            f"{command:<9}{spread(taken[command], digits=2):>28} s, {beyond[command]:.2f} s beyond the import of MLflow's client"
        )
    return beyond


def main() -> int:
    """Print seconds and ratios; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="200 versions instead of 1 000, three turns instead of seven"
    )
    quick = parser.parse_args().quick
    turns, many = (3, 200) if quick else (7, MANY)
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as made:
        folder = Path(made)
        (folder / "mlgate.yaml").write_text(POLICY_TEXT)
        with mlflow_server(folder) as uri:
            os.environ |= {"MLFLOW_TRACKING_URI": uri, "MLGATE_CACHE": str(folder / "cache")}
            newest = {name: fill(uri, folder, name, count) for name, count in (("few", FEW), ("many", many))}
            print(f"{'':9}{f's with {FEW} versions':>28}{f's with {many}':>28}{'ratio':>9}")
            ratios = reading(folder, newest, turns)
            beyond = moving(folder, f"models:/many/{newest['many']}", turns)
    worst, slowest = max(ratios.values()), max(beyond.values())
    goal = f"at most {RATIO:g} times with {many} versions; a move at most {LIMIT_S:g} s beyond the client's import"
    figures = {name: round(value, 3) for name, value in (*ratios.items(), *beyond.items())}
    reached = worst <= RATIO and slowest <= LIMIT_S
    return finish("registry_scale", ratio=worst, goal=goal, n=turns, reached=reached, versions=many, figures=figures)


if __name__ == "__main__":
    sys.exit(main())
