"""Two models on the same 1 M and 10 M rows, binary: what intervals cost, beside what others do.

`python benchmarks/paired_accuracy.py` takes about six minutes (`--quick`: three), prints a table for each number of rows and exits
with 1 where a goal is missed. Each measurement is a child process of its own, interleaved, medians. Times are processor time of
all threads, so that what else the machine does counts for nobody, and waiting for MLflow's files does not count against it.

* The paired difference of accuracy, F1 and AUC with its interval, from arrays in memory, against a bootstrap with B = 1 000 by
  numpy (rows drawn by index; accuracy and F1 on differences and cells that are computed once, the AUC by ranks) and by
  `scipy.stats.bootstrap` (percentile) of the same functions: at least 100 times faster than the faster of the two. A bootstrap's
  time is in proportion to B; it is extrapolated from the few resamples that are stated, at 10 M rows in the first round only.
* Accuracy and F1 of both models and of their difference with intervals, from `scores.parquet` on, against reading that file and
  two calls of `mlflow.models.evaluate` (predictions as a column, explainability off), which gives no interval: at least 5 times.
  The file is what a policy with these two metrics leaves. On both sides the libraries are imported before the clock starts, and
  for MLflow also a tracking store is made and a first evaluation done.
* At 10 M rows at most 500 MB of memory in the process's life (VmHWM), imports and all, also with the AUC and the scores that it
  needs, and the time in proportion to the rows: 5 to 15 times that at 1 M, since some of it does not depend on rows and 1 M rows
  fit in the processor's cache. The AUC sorts, which is 1.17 times as much a row: up to 20 times.
* All three metrics of both models and of their difference, from the file, against what the challenger takes to score the rows: at
  most 5 %. The model is a forest of 100 trees behind mlgate's server without a container (`served_forest.py`), of which only the
  server's processor time is counted; its time for 20 000 rows is extrapolated.
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
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
import served_forest
from machine import finish, spread

METRICS = ("accuracy", "f1", "roc_auc")
LABEL_METRICS = METRICS[:2]
B = 1000
BOOTSTRAP, PEER, MEMORY_MB, OF_SCORING = 100.0, 5.0, 500.0, 0.05
LINEAR, WITH_SORT = (5.0, 15.0), 20.0
MILLION = 1_000_000
CLASSES = ("no", "yes")


def make(path: Path, rows: int) -> dict[str, float]:
    """Write the answers of two models that agree on most rows, as a gate run does for all metrics and for those of labels."""
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

    models = {"challenger": model(0.31), "champion": model(0.3)}
    unscored = {side: ScoredModel(sample=replace(scored.sample, score=None)) for side, scored in models.items()}
    facts, found = TableFacts(data="", challenger="", champion="", checks=()), {}
    for names, sides in ((METRICS, models), (LABEL_METRICS, unscored)):
        accuracy = Accuracy.model_validate({"metrics": {name: {"margin": 0.01} for name in names}})
        to, scores = file_of(path, rows, names), PairedScores(accuracy=accuracy, metrics={}, **sides)
        write_scores(to, scores, _Rows(rows), facts)  # type: ignore[arg-type] - what of the data the file holds
        found[f"mb_{len(names)}"] = to.stat().st_size / 1e6
    return found


def file_of(folder: Path, rows: int, metrics: tuple[str, ...]) -> Path:
    """Return where the answers for these metrics are."""
    return folder / f"{rows}-{len(metrics)}.parquet"


class _Rows:
    """Evaluation data as far as `write_scores` reads them: numbered rows."""

    def __init__(self, rows: int) -> None:
        self.keys = range(rows)

    def __len__(self) -> int:
        return len(self.keys)


def stored(path: Path, metrics: tuple[str, ...]) -> dict[str, float]:
    """From the file to the metrics of each model and of the difference, with intervals."""
    import pyarrow.parquet  # noqa: F401 - a command pays it once, whatever the rows

    from mlgate.evaluation.metrics.catalogue import find_metric
    from mlgate.evaluation.score_table import read_scores
    from mlgate.evaluation.scored import ScoredModel

    found, began = [find_metric(name) for name in metrics], time.process_time()
    scores = read_scores(path).scores
    new, old = scores.challenger.sample, scores.champion
    if not isinstance(old, ScoredModel):
        raise SystemExit("no champion in the file")
    for metric in found:
        metric.interval(new, confidence=0.95, seed=0)
        metric.interval(old.sample, confidence=0.95, seed=0)
        metric.difference(new, old.sample, confidence=0.95, seed=0)
    return {"seconds": time.process_time() - began}


def intervals(path: Path) -> dict[str, float]:
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


def peer(path: Path) -> dict[str, float]:
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


def child(job: str, folder: Path, rows: int, resamples: int) -> dict[str, float]:
    """Do one job in this process."""
    everything, labels = file_of(folder, rows, METRICS), file_of(folder, rows, LABEL_METRICS)
    match job:
        case "make":
            found = make(folder, rows)
        case "model":
            found = served_forest.row_seconds(folder)
        case "labels":
            found = stored(labels, LABEL_METRICS)
        case "with AUC":
            found = stored(everything, METRICS)
        case "intervals":
            found = intervals(everything)
        case "peer":
            found = peer(labels)
        case _:
            found = bootstrapped(everything, *job.split(":"), resamples)
    return {**found, "mb": high_water_mb()}


def ask(job: str, folder: Path, rows: int, resamples: int = 0) -> dict[str, float]:
    """Do one job in a fresh process."""
    command = [sys.executable, __file__, "--child", job, str(folder), str(rows), str(resamples)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{job} on {rows} rows ended with {done.returncode}:\n{done.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def jobs(rows: int) -> Iterator[tuple[str, int]]:
    """Yield the jobs of one round, with the resamples of a bootstrap: a few seconds' worth."""
    scale = MILLION / rows
    yield "labels", 0
    yield "with AUC", 0
    yield "intervals", 0
    for metric, resamples in (("accuracy", 50), ("f1", 50), ("roc_auc", 5)):
        for library in ("numpy", "scipy"):
            yield f"{library}:{metric}", max(2, round(resamples * scale))
    yield "peer", 0


Answers = dict[str, list[dict[str, float]]]


def measure(sizes: tuple[int, ...], rounds: int, folder: Path) -> tuple[dict[int, Answers], Answers]:
    """Ask everybody, by turns; return their answers at each number of rows, and those to what is asked once a round."""
    found: dict[int, Answers] = {rows: {"make": [ask("make", folder, rows)]} for rows in sizes}
    model: Answers = {"model": []}
    for turn in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            model["model"].append(ask("model", Path(place), 0))
        for rows in sizes:
            todo = list(jobs(rows))
            for job, resamples in todo if turn % 2 == 0 else reversed(todo):
                if turn and resamples and rows > MILLION:
                    continue
                found[rows].setdefault(job, []).append(ask(job, folder, rows, resamples))
    return found, model


def main() -> int:
    """Measure, print tables, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round instead of 3")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        job, folder, rows, resamples = options.child
        print(json.dumps(child(job, Path(folder), int(rows), int(resamples))))
        return 0
    sizes, rounds = (MILLION, 10 * MILLION), 1 if options.quick else 3
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as name:
        found, model = measure(sizes, rounds, Path(name))
    for rows, answers in found.items():
        _print(rows, answers, model)
    return _finish(found, model, rounds)


def _values(answers: list[dict[str, float]], name: str = "seconds") -> list[float]:
    return [answer[name] for answer in answers]


def _times(answers: Answers, job: str, name: str = "seconds") -> float:
    return median(_values(answers[job], name))


def _print(rows: int, answers: Answers, model: Answers) -> None:
    """Print what was measured at one number of rows."""
    print(
        f"\n{f'{rows // MILLION} M rows':28}processor time in s, median (least to most); n = {len(answers['labels'])}"
    )
    resamples = dict(jobs(rows))
    for metric in METRICS:
        print(f"{metric + ', difference':28}{spread(_values(answers['intervals'], metric), digits=4)}")
        for library in ("numpy", "scipy"):
            job = f"{library}:{metric}"
            times = _times(answers, job) / _times(answers, "intervals", metric)
            what = f"  {library}, B = 1 000"
            print(f"{what:28}{spread(_values(answers[job])):30}{times:8.0f} times; from {resamples[job]} resamples")
    made = answers["make"][0]
    for job, size in (("labels", made["mb_2"]), ("with AUC", made["mb_3"]), ("peer", made["mb_2"])):
        what = {"labels": "file to accuracy, F1", "peer": "two mlflow.models.evaluate"}.get(job, "file to all three")
        times = f"{_peer_factor(answers):8.1f} times" if job == "peer" else ""
        high = max(_values(answers[job], "mb"))
        print(f"{what:28}{spread(_values(answers[job]), digits=3):30}{times:15}{high:5.0f} MB; file {size:.0f} MB")
    took = [rows * each for each in _values(model["model"])]
    share = 100 * _scoring_share(rows, answers, model)
    print(f"{'scoring the challenger':28}{spread(took):30}of it all three {share:.1f} %; {_speed(model)}")


def _speed(model: Answers) -> str:
    return f"{1 / _times(model, 'model'):.0f} rows per processor second, {1 / _times(model, 'model', 'wall'):.0f} on the clock"


def _bootstrap_factor(answers: Answers, metric: str) -> float:
    theirs = min(_times(answers, f"{library}:{metric}") for library in ("numpy", "scipy"))
    return theirs / _times(answers, "intervals", metric)


def _peer_factor(answers: Answers) -> float:
    return _times(answers, "peer") / _times(answers, "labels")


def _scoring_share(rows: int, answers: Answers, model: Answers) -> float:
    return _times(answers, "with AUC") / (rows * _times(model, "model"))


def _growth(small: Answers, large: Answers) -> dict[str, float]:
    found = {job: _times(large, job) / _times(small, job) for job in ("labels", "with AUC")}
    for metric in METRICS:
        found[metric] = _times(large, "intervals", metric) / _times(small, "intervals", metric)
    return found


def _finish(found: dict[int, Answers], model: Answers, rounds: int) -> int:
    factors = {
        f"{metric}, {rows // MILLION} M": _bootstrap_factor(answers, metric)
        for rows, answers in found.items()
        for metric in METRICS
    }
    peers = {f"{rows // MILLION} M": _peer_factor(answers) for rows, answers in found.items()}
    shares = {f"{rows // MILLION} M": _scoring_share(rows, answers, model) for rows, answers in found.items()}
    large = found[10 * MILLION]
    growth = _growth(found[MILLION], large)
    high = {job: max(_values(large[job], "mb")) for job in ("labels", "with AUC", "peer")}
    print("\n10 M rows over 1 M: " + ", ".join(f"{name} {times:.1f} times" for name, times in growth.items()))
    most = {"with AUC": WITH_SORT, "roc_auc": WITH_SORT}
    linear = all(LINEAR[0] <= times <= most.get(name, LINEAR[1]) for name, times in growth.items())
    goals = {
        "bootstrap": min(factors.values()) >= BOOTSTRAP,
        "evaluate": min(peers.values()) >= PEER,
        "memory": max(high["labels"], high["with AUC"]) <= MEMORY_MB,
        "linear": linear,
        "scoring": max(shares.values()) <= OF_SCORING,
    }
    goal = (
        f"{BOOTSTRAP:g} times a bootstrap of 1 000, {PEER:g} times mlflow.models.evaluate, 10 M rows in {MEMORY_MB:g} MB "
        f"and linear, {OF_SCORING:.0%} of scoring"
    )
    return finish(
        "paired_accuracy", ratio=min(factors.values()), goal=goal, n=rounds, reached=all(goals.values()), goals=goals,
        bootstrap_times={name: round(times) for name, times in factors.items()},
        evaluate_times={name: round(times, 1) for name, times in peers.items()},
        peak_mb={job: round(size) for job, size in high.items()},
        growth={name: round(times, 2) for name, times in growth.items()},
        scoring_share={name: round(share, 4) for name, share in shares.items()},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
