"""Two models on the same 1 M and 10 M rows, binary: what intervals cost, beside what others do.

Three claims, each measurement in a child process of its own, interleaved, medians. Times are processor time of all threads, so
that what else the machine does counts for nobody, and waiting for MLflow's files does not count against it:

* the paired difference of accuracy, F1 and AUC with its interval, from arrays in memory, against a bootstrap with B = 1 000 by
  numpy (rows drawn by index; accuracy and F1 on differences and cells that are computed once, the AUC by ranks) and by
  `scipy.stats.bootstrap` (percentile) of the same functions: at least 100 times faster than the faster of the two. A bootstrap's
  time is in proportion to B; it is extrapolated from the few resamples that are stated.
* accuracy and F1 of both models and of their difference with intervals, from `scores.parquet` on, against reading that file and
  two calls of `mlflow.models.evaluate` (predictions as a column, explainability off), which gives no interval: at least 5 times;
* at 10 M rows at most 500 MB of memory in the process's life (VmHWM), and the time in proportion to the rows.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
from machine import finish, spread

METRICS = ("accuracy", "f1", "roc_auc")
B = 1000
BOOTSTRAP, PEER, MEMORY_MB = 100.0, 5.0, 500.0
LINEAR = (5.0, 15.0)
MILLION = 1_000_000
CLASSES = ("no", "yes")


def make(path: Path, rows: int) -> dict[str, float]:
    """Write the scores of two models that agree on most rows, as a gate run writes them."""
    from mlgate.evaluation.paired_scores import PairedScores
    from mlgate.evaluation.sample import Sample
    from mlgate.evaluation.score_table import TableFacts, write_scores
    from mlgate.evaluation.scored import ScoredModel
    from mlgate.policy_accuracy import Accuracy

    rng = np.random.default_rng(rows)
    truth = (rng.random(rows) < 0.2).astype(np.int8)
    signal = 2.2 * truth - 1.6 + rng.normal(size=rows)

    def model(noise: float) -> ScoredModel:
        score = 1 / (1 + np.exp(-2 * (signal + noise * rng.normal(size=rows))))
        labels = (score > 0.5).astype(np.int8)
        return ScoredModel(sample=Sample(truth=truth, labels=labels, score=score, classes=CLASSES, positive=1))

    accuracy = Accuracy.model_validate({"metrics": {name: {"margin": 0.01} for name in METRICS}})
    scores = PairedScores(accuracy=accuracy, metrics={}, challenger=model(0.31), champion=model(0.3))
    facts = TableFacts(data="", challenger="", champion="", checks=())
    write_scores(path, scores, _Rows(rows), facts)  # type: ignore[arg-type] - what of the data the file holds
    return {"file_mb": path.stat().st_size / 1e6}


class _Rows:
    """Evaluation data as far as `write_scores` reads them: numbered rows."""

    def __init__(self, rows: int) -> None:
        self.keys = range(rows)

    def __len__(self) -> int:
        return len(self.keys)


def stored(path: Path, _: int) -> dict[str, float]:
    """From the file to accuracy and F1, of each model and of the difference, with intervals."""
    from mlgate.evaluation.metrics.catalogue import find_metric
    from mlgate.evaluation.scored import ScoredModel

    # The imports are what a command pays once, whatever the rows; they are no part of a cost per row.
    from mlgate.evaluation.score_table import read_scores  # isort: skip
    import pandas  # noqa: F401, ICN001 - pyarrow imports it for the type of a column; the peer's is imported before, too
    import pyarrow.parquet  # noqa: F401

    metrics, began = [find_metric(name) for name in METRICS[:2]], time.process_time()
    scores = read_scores(path).scores
    new, old = scores.challenger.sample, scores.champion
    if not isinstance(old, ScoredModel):
        raise SystemExit("no champion in the file")
    for metric in metrics:
        metric.interval(new, confidence=0.95, seed=0)
        metric.interval(old.sample, confidence=0.95, seed=0)
        metric.difference(new, old.sample, confidence=0.95, seed=0)
    return {"seconds": time.process_time() - began}


def intervals(path: Path, _: int) -> dict[str, float]:
    """The difference of each metric, from arrays in memory."""
    from mlgate.evaluation.metrics.catalogue import find_metric
    from mlgate.evaluation.score_table import read_scores

    scores = read_scores(path).scores
    new, old = scores.challenger.sample, scores.champion.sample  # type: ignore[union-attr] - there is a champion
    found = {}
    for name in METRICS:
        metric, began = find_metric(name), time.process_time()
        metric.difference(new, old, confidence=0.95, seed=0)
        found[name] = time.process_time() - began
    return found


Statistic = Callable[[np.ndarray], float]


def bootstrapped(path: Path, library: str, metric: str, resamples: int) -> dict[str, float]:
    """One metric's difference by resampling, and what 1 000 resamples take."""
    from scipy import stats

    from mlgate.evaluation.score_table import read_scores

    scores = read_scores(path).scores
    new, old = scores.challenger.sample, scores.champion.sample  # type: ignore[union-attr] - there is a champion
    began = time.process_time()
    statistic = _statistic(metric, new, old)
    prepared = time.process_time() - began
    rng, rows = np.random.default_rng(0), len(new)
    began = time.process_time()
    if library == "numpy":
        values = [statistic(rng.integers(rows, size=rows)) for _ in range(resamples)]
        np.quantile(values, [0.05, 0.95])
    else:
        data = (np.arange(rows),)
        stats.bootstrap(data, lambda index: statistic(np.asarray(index)), n_resamples=resamples, batch=1, vectorized=False, method="percentile", rng=rng)  # fmt: skip
    return {"seconds": prepared + (time.process_time() - began) * B / resamples}


def _statistic(metric: str, new: Any, old: Any) -> Statistic:
    """Return the difference as a function of the rows drawn, with all that does not depend on them computed before."""
    from scipy import stats

    if metric == "accuracy":
        gains = (new.labels == new.truth).astype(np.int8) - (old.labels == old.truth)
        return lambda rows: float(gains[rows].mean())
    if metric == "f1":
        cells = (4 * new.truth + 2 * new.labels + old.labels).astype(np.int8)

        def f1(rows: np.ndarray) -> float:
            table = np.bincount(cells[rows], minlength=8).reshape(2, 2, 2)
            hits, said = (table[1, 1].sum(), table[1, :, 1].sum()), (table[:, 1].sum(), table[:, :, 1].sum())
            values = [2 * hit / (table[1].sum() + call) for hit, call in zip(hits, said, strict=True)]
            return float(values[0] - values[1])

        return f1
    truth, both = new.truth.astype(bool), (new.score, old.score)

    def auc(rows: np.ndarray) -> float:
        positive = truth[rows]
        m = int(positive.sum())
        sums = [float(stats.rankdata(score[rows])[positive].sum()) for score in both]
        return (sums[0] - sums[1]) / (m * (len(rows) - m))

    return auc


def peer(path: Path, _: int) -> dict[str, float]:
    """Two calls of `mlflow.models.evaluate` on the same file; the tracking server's set-up is not counted."""
    os.environ["MPLBACKEND"] = "agg"
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import mlflow
    import pandas as pd

    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as name:
        mlflow.set_tracking_uri(f"sqlite:///{name}/mlflow.db")
        mlflow.set_experiment(experiment_id=mlflow.create_experiment("peer", artifact_location=f"file://{name}/files"))

        def evaluate(frame: Any) -> None:
            with mlflow.start_run():
                mlflow.models.evaluate(
                    data=frame, targets="label", predictions="prediction", model_type="classifier", evaluators="default",
                    evaluator_config={"log_model_explainability": False, "pos_label": 1},
                )  # fmt: skip

        evaluate(pd.DataFrame({"label": [0, 1, 1], "prediction": [0, 1, 0]}))  # what the first call imports
        began = time.process_time()
        table = pd.read_parquet(path, columns=["label", "challenger.label", "champion.label"])
        for side in ("challenger", "champion"):
            # Texts are slow in what is called here; codes are what it is kindest to.
            columns = {"label": table["label"], "prediction": table[f"{side}.label"]}
            evaluate(pd.DataFrame({name: (column == "yes").astype("int8") for name, column in columns.items()}))
        return {"seconds": time.process_time() - began}


def high_water_mb() -> float:
    """Return the most memory that this process ever held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def child(job: str, path: Path, rows: int, resamples: int) -> dict[str, float]:
    """Do one job in this process."""
    if job.startswith(("numpy", "scipy")):
        found = bootstrapped(path, *job.split(":"), resamples)
    else:
        found = {"make": make, "stored": stored, "intervals": intervals, "peer": peer}[job](path, rows)
    return {**found, "mb": high_water_mb()}


def ask(job: str, path: Path, rows: int, resamples: int = 0) -> dict[str, float]:
    """Do one job in a fresh process."""
    command = [sys.executable, __file__, "--child", job, str(path), str(rows), str(resamples)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{job} on {rows} rows ended with {done.returncode}:\n{done.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def jobs(rows: int, *, with_peer: bool) -> Iterator[tuple[str, int]]:
    """Yield the jobs of one round, with the resamples of a bootstrap: a few seconds' worth."""
    scale = MILLION / rows
    yield "stored", 0
    yield "intervals", 0
    for metric, resamples in (("accuracy", 50), ("f1", 50), ("roc_auc", 5)):
        for library in ("numpy", "scipy"):
            yield f"{library}:{metric}", max(2, round(resamples * scale))
    if with_peer:
        yield "peer", 0


Answers = dict[int, dict[str, list[dict[str, float]]]]


def measure(
    sizes: tuple[int, ...], rounds: int, folder: Path, peers: tuple[int, ...]
) -> tuple[Answers, dict[int, float]]:
    """Ask everybody, by turns."""
    found: Answers = {rows: {} for rows in sizes}
    files = {rows: folder / f"{rows}.parquet" for rows in sizes}
    megabytes = {rows: ask("make", path, rows)["file_mb"] for rows, path in files.items()}
    for turn in range(rounds):
        for rows in sizes:
            todo = list(jobs(rows, with_peer=rows in peers))
            for job, resamples in todo if turn % 2 == 0 else reversed(todo):
                found[rows].setdefault(job, []).append(ask(job, files[rows], rows, resamples))
    return found, megabytes


def main() -> int:
    """Measure, print tables, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round instead of 3, the peer at 1 M rows only")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        job, path, rows, resamples = options.child
        print(json.dumps(child(job, Path(path), int(rows), int(resamples))))
        return 0
    sizes, rounds = (MILLION, 10 * MILLION), 1 if options.quick else 3
    peers = sizes[:1] if options.quick else sizes
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as folder:
        found, megabytes = measure(sizes, rounds, Path(folder), peers)
    return _report(found, megabytes, rounds)


def _seconds(answers: list[dict[str, float]], name: str = "seconds") -> list[float]:
    return [answer[name] for answer in answers]


def _report(found: Answers, megabytes: dict[int, float], rounds: int) -> int:
    factors = {f"{metric}, {rows // MILLION} M": _factor(answers, metric) for rows, answers in found.items() for metric in METRICS}  # fmt: skip
    for rows, answers in found.items():
        print(
            f"\n{rows // MILLION} M rows: processor time, median (least to most) in s, {rounds} rounds; scores.parquet {megabytes[rows]:.0f} MB"
        )
        resamples = dict(jobs(rows, with_peer=True))
        for metric in METRICS:
            ours = spread(_seconds(answers["intervals"], metric), digits=3)
            print(f"{metric:10} ours {ours:26}", end="")
            for library in ("numpy", "scipy"):
                job = f"{library}:{metric}"
                print(f"{library}, B = 1 000 from {resamples[job]} {spread(_seconds(answers[job])):26}", end="")
            print(f"{factors[f'{metric}, {rows // MILLION} M']:8.0f} times")
        print(f"{'from file':10} ours {spread(_seconds(answers['stored']), digits=3):26}", end="")
        if "peer" in answers:
            times = _peer_factor(answers)
            print(
                f"two mlflow.models.evaluate {spread(_seconds(answers['peer']), digits=2):26}{times:8.1f} times", end=""
            )
        high = {job: max(_seconds(answers[job], "mb")) for job in ("stored", "intervals")}
        print(f"\nmemory     from file {high['stored']:.0f} MB, with AUC {high['intervals']:.0f} MB", end="")
        print(f"; mlflow {max(_seconds(answers['peer'], 'mb')):.0f} MB" if "peer" in answers else "")
    return _finish(found, factors, rounds)


def _factor(answers: dict[str, list[dict[str, float]]], metric: str) -> float:
    theirs = min(median(_seconds(answers[f"{library}:{metric}"])) for library in ("numpy", "scipy"))
    return theirs / median(_seconds(answers["intervals"], metric))


def _peer_factor(answers: dict[str, list[dict[str, float]]]) -> float:
    return median(_seconds(answers["peer"])) / median(_seconds(answers["stored"]))


def _finish(found: Answers, factors: dict[str, float], rounds: int) -> int:
    small, large = found[MILLION], found[10 * MILLION]
    growth = {"from file": median(_seconds(large["stored"])) / median(_seconds(small["stored"]))}
    for metric in METRICS:
        growth[metric] = median(_seconds(large["intervals"], metric)) / median(_seconds(small["intervals"], metric))
    peers = {f"{rows // MILLION} M": _peer_factor(answers) for rows, answers in found.items() if "peer" in answers}
    high = max(answer["mb"] for job in ("stored", "intervals") for answer in large[job])
    least = min(factors.values())
    # A difference of thousandths of a second at 1 M rows is mostly what does not depend on rows.
    linear = LINEAR[0] <= growth["from file"] <= LINEAR[1] and max(growth.values()) <= LINEAR[1]
    reached = least >= BOOTSTRAP and min(peers.values()) >= PEER and high <= MEMORY_MB and linear
    print("\n10 M rows over 1 M: " + ", ".join(f"{name} {times:.1f} times" for name, times in growth.items()))
    goal = f"{BOOTSTRAP:g} times a bootstrap of 1 000, {PEER:g} times mlflow.models.evaluate, 10 M rows in {MEMORY_MB:g} MB and linear"  # fmt: skip
    return finish(
        "paired_accuracy", ratio=least, goal=goal, n=rounds, reached=reached, bootstrap_times={name: round(times) for name, times in factors.items()},
        evaluate_times={name: round(times, 1) for name, times in peers.items()}, peak_mb=round(high), growth={name: round(times, 2) for name, times in growth.items()},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
