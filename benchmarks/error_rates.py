"""How often the accuracy suite is wrong, by simulation: 2 000 draws of evaluation rows per cell, seeded.

Each cell draws challenger and champion from a population whose true loss is exact (`populations.py`) and judges the draw by the
metric of the catalogue, or by the whole comparison where slices are asked for. Four questions:

* a true loss of exactly the margin: passed at most 5 % of the time (an outcome that is not defined is no pass, and is shown);
* no loss, at rows that are enough by our own planning (`mlgate accuracy plan`, or the power printed with a result): passed at
  least 90 % of the time. A cell of given rows is judged at the margin which the power calculation says those rows can show;
* slices, none of which lost more than the margin: failed at most 5 % of the time, whatever their number;
* groups of rows judged as if rows were independent, and many slices without the correction: wrong more than 5 % of the time,
  on the same kind of rows that the method used here judges right.

A goal is missed when the 95 % Clopper-Pearson interval of the cell's share lies on the wrong side of it altogether.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
import populations as of
from machine import finish
from populations import Pair, Population

from mlgate.evaluation.comparison import Comparison
from mlgate.evaluation.judgement.sides import answers_alike, discordant
from mlgate.evaluation.metrics.catalogue import find_metric
from mlgate.evaluation.metrics.interface import Metric
from mlgate.evaluation.plan import Assumptions, plan
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.slices import Column
from mlgate.evidence import Finding, Outcome
from mlgate.policy_accuracy import Accuracy
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.power import power_of, rows_needed_identical
from mlgate.statistics.proportions import clopper_pearson_lower, clopper_pearson_upper

CONFIDENCE, POWER = 0.95, 0.9
PILOTS = 101


class Goal(StrEnum):
    """What the counted share must be."""

    ERROR = "at most 5 %"
    POWER = "at least 90 %"
    WRONG = "above 5 %"
    SHOWN = "none"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One simulation: *judge* says of a draw whether the outcome that is counted came, or `None` for undefined."""

    population: Population
    n: int
    margin: float
    loss: float
    goal: Goal
    question: str
    judge: Callable[[Pair, int], bool | None] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of a cell."""

    cell: Cell
    draws: int
    counted: int
    undefined: int
    seconds: float

    @property
    def share(self) -> float:
        """Of the draws."""
        return self.counted / self.draws

    @property
    def bounds(self) -> tuple[float, float]:
        """Clopper-Pearson, 95 % two-sided."""
        lower, upper = clopper_pearson_lower, clopper_pearson_upper
        return lower(self.counted, self.draws, 0.975), upper(self.counted, self.draws, 0.975)

    @property
    def reached(self) -> bool:
        """Whether the interval reaches the goal; a wrong method must lie above 5 % with its whole interval."""
        low, high = self.bounds
        return {Goal.ERROR: low <= 0.05, Goal.POWER: high >= 0.90, Goal.WRONG: low > 0.05, Goal.SHOWN: True}[
            self.cell.goal
        ]


class Remembered:
    """Accuracy, each table of counts judged once: it is a function of gains, losses, rows and right answers."""

    def __init__(self, metric: Metric) -> None:
        self.metric, self.facts, self.known = metric, metric.facts, dict[object, Interval | Undefined]()

    def value(self, sample: Sample) -> float | Undefined:
        """As the metric."""
        return self.metric.value(sample)

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """As the metric."""
        key = (len(sample), int((sample.labels == sample.truth).sum()), confidence)
        if key not in self.known:
            self.known[key] = self.metric.interval(sample, confidence=confidence, seed=seed)
        return self.known[key]

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """As the metric."""
        if challenger.group is not None:
            return self.metric.difference(challenger, champion, confidence=confidence, seed=seed)
        key = (len(champion), discordant(challenger, champion), confidence)
        if key not in self.known:
            self.known[key] = self.metric.difference(challenger, champion, confidence=confidence, seed=seed)
        return self.known[key]


METRICS: dict[str, Metric] = {name: find_metric(name) for name in ("roc_auc", "f1", "rmse", "median_absolute_error")}
METRICS["accuracy"] = Remembered(find_metric("accuracy"))


def passes(metric: str, margin: float) -> Callable[[Pair, int], bool | None]:
    """Judge one metric on all rows, by the rule of the gate."""

    def judge(pair: Pair, seed: int) -> bool | None:
        found = METRICS[metric].difference(*pair, confidence=CONFIDENCE, seed=seed)
        return None if isinstance(found, Undefined) else found.lower > -margin

    return judge


def shown_by(population: Population, n: int) -> float:
    """Return the margin that *n* rows can show with a power of 90 %, as the power of the results says: median of pilots."""
    found = []
    for seed in range(PILOTS):
        pair = population.draw(np.random.default_rng([n, seed]), n, 0.0)
        difference = METRICS[population.metric].difference(*pair, confidence=CONFIDENCE, seed=seed)
        if isinstance(difference, Interval):
            alike = answers_alike(*pair) == n
            found.append(power_of(difference, 1.0, alike=alike, power=POWER).minimum_detectable_loss)
    return statistics.median(found)


def planned_rows(margin: float, discordance: float, power: float = POWER) -> int:
    """Return the rows that `mlgate accuracy plan` asks for."""
    return planned("accuracy", {"margin": margin}, Assumptions(discordance=discordance), power)


def planned(metric: str, spec: dict[str, float], assumed: Assumptions, power: float = POWER) -> int:
    """Return the rows that the plan asks for, of any metric."""
    (found,) = plan(Accuracy.model_validate({"metrics": {metric: spec}}), 1000, assumed, power=power)
    if found.needed is None:
        raise ValueError("the plan gives no rows")
    return found.needed


def at_margin(population: Population, n: int, margin: float, question: str = "loss at the margin: passed", goal: Goal = Goal.ERROR) -> Cell:  # fmt: skip
    """The challenger has lost exactly the margin."""
    return Cell(population=population, n=n, margin=margin, loss=margin, goal=goal, question=question, judge=passes(population.metric, margin))  # fmt: skip


def no_loss(population: Population, n: int, margin: float, goal: Goal = Goal.POWER) -> Cell:
    """Both models are equally good."""
    return Cell(population=population, n=n, margin=margin, loss=0.0, goal=goal, question="no loss: passed", judge=passes(population.metric, margin))  # fmt: skip


def both(population: Population, n: int) -> Iterator[Cell]:
    """Both questions at the margin which the rows can show."""
    margin = shown_by(population, n)
    yield at_margin(population, n, margin)
    yield no_loss(population, n, margin)


def accuracy_cells() -> Iterator[Cell]:
    """Paired shares: losses alone, and discordant rows both ways."""
    lost = of.discordant(0.0)
    for n, margin in ((50, 0.05), (50, 0.1), (268, 0.01), (299, 0.01), (1000, 0.01), (1000, 0.05), (5000, 0.01)):
        yield at_margin(lost, n, margin)
    for margin in (0.01, 0.05):
        yield no_loss(lost, rows_needed_identical(margin, CONFIDENCE), margin)
    for margin, share in ((0.1, 0.05), (0.05, 0.05), (0.05, 0.2), (0.02, 0.05), (0.01, 0.05)):
        n = planned_rows(margin, share)
        yield at_margin(of.discordant(share), n, margin)
        yield no_loss(of.discordant(share), n, margin)
    for n in (50, 1000, 5000):
        yield from both(of.discordant(0.05), n)


def auc_cells() -> Iterator[Cell]:
    """From useful to nearly perfect."""
    for area in (0.70, 0.90, 0.99, 0.997):
        for n in (170, 1000):
            yield from both(of.shifted_scores(area), n)
            yield at_margin(of.sunk_scores(area), n, shown_by(of.shifted_scores(area), n))
    for n in (170, 1000):
        yield from both(of.shifted_scores(0.90, positives=0.2), n)


def f1_cells() -> Iterator[Cell]:
    """Lost hits, false alarms, and both among rows that trade places."""
    for n in (300, 2000):
        mixed = of.f1_table("hits", swapped=0.02)
        margin = shown_by(mixed, n)
        yield at_margin(mixed, n, margin)
        yield no_loss(mixed, n, margin)
        for way in ("hits", "alarms"):
            yield at_margin(of.f1_table(way), n, margin)


def rmse_cells() -> Iterator[Cell]:
    """Normal errors, heavy tails, and gross errors on few rows."""
    for n in (100, 400):
        heaviest = of.heavy_errors(3)
        margin = shown_by(heaviest, n)
        yield at_margin(heaviest, n, margin)
        # A squared t(3) error has no variance: no number of rows is adequate, and none is said to be.
        yield no_loss(heaviest, n, margin, Goal.SHOWN)
    for n, share, times, correlation in (
        (100, 0.05, 4, 1.0), (400, 0.05, 4, 1.0), (100, 0.01, 8, 1.0), (100, 0.02, 8, 0.9), (1000, 0.002, 8, 0.9),
    ):  # fmt: skip
        broken, loss = of.broken_errors(share, times, correlation)
        yield at_margin(broken, n, loss)
    for population, kurtosis, level in ((of.heavy_errors(5), 9.0, math.sqrt(5 / 3)), (of.normal_errors(), 3.0, 1.0)):
        margin = 0.1 * level
        n = planned("rmse", {"margin": margin, "max": level}, Assumptions(kurtosis=kurtosis))
        yield at_margin(population, n, margin)
        yield no_loss(population, n, margin)
    yield from both(of.normal_errors(), 400)


def median_cells() -> Iterator[Cell]:
    """Median absolute error."""
    gap, loss = of.gap_errors()
    for n in (100, 1000):
        yield at_margin(gap, n, loss)
        yield from both(of.median_errors(), n)


def cluster_cells() -> Iterator[Cell]:
    """Rows in groups: judged with the group, and the same rows without it."""
    for population, n in ((of.clustered_labels(20, 0.1), 4000), (of.clustered_scores(0.9, 10), 2000)):
        margin = shown_by(population, n)
        yield at_margin(population, n, margin)
        yield no_loss(population, n, margin)
        yield at_margin(population.without_groups(), n, margin, goal=Goal.WRONG)


def slice_cells() -> Iterator[Cell]:
    """Accuracy on 5 and on 20 slices, judged by the comparison with its correction for many comparisons."""
    margin, share = 0.05, 0.1
    for slices in (5, 20):
        # All slices are to pass together, so each needs the power that leaves so little to chance.
        n = slices * planned_rows(margin, share, power=1 - (1 - POWER) / slices)
        many = {"n": n, "margin": margin}
        healthy, worst = of.sliced(0, slices, share), of.sliced(slices, slices, share)
        fails, passing, first = (_sliced(slices, margin, count) for count in (_any_failed, _all_passed, _first_passed))
        no, some = Goal.ERROR, Goal.WRONG
        yield Cell(population=healthy, **many, loss=0.0, goal=no, question="no loss: any failed", judge=fails)
        yield Cell(population=healthy, **many, loss=0.0, goal=Goal.POWER, question="no loss: all passed", judge=passing)
        yield Cell(
            population=worst, **many, loss=margin, goal=no, question="all at the margin: any failed", judge=fails
        )
        uncorrected = _sliced(slices, margin, _any_below)
        yield Cell(
            population=worst, **many, loss=margin, goal=some, question="the same without Holm", judge=uncorrected
        )
        one = of.sliced(1, slices, share)
        yield Cell(population=one, **many, loss=margin, goal=no, question="one at the margin: it passed", judge=first)


def _sliced(slices: int, margin: float, count: Callable[[Comparison, float], bool]) -> Callable[[Pair, int], bool]:
    accuracy = Accuracy.model_validate({"metrics": {"accuracy": {"margin": margin}}, "slices": ["region"]})

    def judge(pair: Pair, seed: int) -> bool:
        challenger, champion = pair
        region = Column(codes=np.arange(len(champion)) % slices, values=[f"r{index:02}" for index in range(slices)])
        comparison = Comparison(
            accuracy=accuracy, metrics=METRICS, challenger=challenger, champion=champion, context={"region": region}, seed=seed
        )  # fmt: skip
        return count(comparison, margin)

    return judge


def _findings(comparison: Comparison) -> list[Finding]:
    return [comparison.regression("accuracy"), *(check.finding for check in comparison.slice_checks("region"))]


def _any_failed(comparison: Comparison, _: float) -> bool:
    return any(finding.outcome is Outcome.FAILED for finding in _findings(comparison))


def _any_below(comparison: Comparison, margin: float) -> bool:
    return any(finding.interval is not None and finding.interval[1] < -margin for finding in _findings(comparison))


def _all_passed(comparison: Comparison, _: float) -> bool:
    return all(finding.outcome is Outcome.PASSED for finding in _findings(comparison))


def _first_passed(comparison: Comparison, _: float) -> bool:
    return comparison.slice_checks("region")[0].outcome is Outcome.PASSED


FAMILIES: dict[str, Callable[[], Iterator[Cell]]] = {
    "accuracy": accuracy_cells,
    "roc_auc": auc_cells,
    "f1": f1_cells,
    "rmse": rmse_cells,
    "median": median_cells,
    "groups": cluster_cells,
    "slices": slice_cells,
}


def simulate(cell: Cell, draws: int, seed: int) -> Found:
    """Draw and judge; the rows of a draw depend on the cell's place and the draw's number alone."""
    began, counted, undefined = time.perf_counter(), 0, 0
    for draw in range(draws):
        pair = cell.population.draw(np.random.default_rng([seed, draw]), cell.n, cell.loss)
        judged = cell.judge(pair, draw)
        counted += judged is True
        undefined += judged is None
    return Found(
        cell=cell, draws=draws, counted=counted, undefined=undefined, seconds=time.perf_counter() - began
    )  # fmt: skip


def main() -> int:
    """Simulate, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 draws instead of 2 000")
    parser.add_argument("--only", choices=FAMILIES, action="append", help="these families alone")
    options = parser.parse_args()
    draws, began = 200 if options.quick else 2000, time.perf_counter()
    print(
        f"{'population':52}{'rows':>6}{'margin':>8}  {'question':30}{'share':>7} {'95 % interval':>16}{'undef.':>8}  goal"
    )
    found = []
    for place, family in enumerate(FAMILIES):
        if options.only and family not in options.only:
            continue
        for index, cell in enumerate(FAMILIES[family]()):
            found.append(simulate(cell, draws, 1000 * place + index))
            print(_line(found[-1]), flush=True)
    return _report(found, draws, time.perf_counter() - began)


def _line(found: Found) -> str:
    cell, (low, high) = found.cell, found.bounds
    interval = f"{low:.2%} to {high:.2%}"
    missed = "" if found.reached else "  MISSED"
    return (
        f"{cell.population.name:52}{cell.n:>6}{cell.margin:>8.4f}  {cell.question:30}{found.share:>7.2%} {interval:>16}"
        f"{found.undefined / found.draws:>8.1%}  {cell.goal}{missed}"
    )


def _report(found: list[Found], draws: int, seconds: float) -> int:
    errors = [each for each in found if each.cell.goal is Goal.ERROR]
    powers = [each for each in found if each.cell.goal is Goal.POWER]
    worst = max((each.share for each in errors), default=0.0)
    missed = [f"{each.cell.population.name}, n = {each.cell.n}: {each.cell.question} {each.share:.2%}" for each in found if not each.reached]  # fmt: skip
    print(f"{len(found)} cells in {seconds:.0f} s; largest error {worst:.2%}; {len(missed)} missed")
    goal = "at the margin passed at most 5 %, without a loss at least 90 %, failed for nothing at most 5 %"
    return finish(
        "error_rates", ratio=worst / 0.05, goal=goal, n=draws, reached=not missed, cells=len(found), largest_error=worst,
        least_power=min((each.share for each in powers), default=None), missed=missed, seconds=round(seconds),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
