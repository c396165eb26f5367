"""From a failing batch to one simple failing row, or to the rows that do not fail."""

from collections.abc import Callable

from mlgate.scoring.client import ScoringClient
from mlgate.scoring.input_space import InputSpace
from mlgate.scoring.payloads import Batch
from mlgate_suites.findings import problem_of, rows_or_none

# A crash costs milliseconds a probe; a hang costs the whole request timeout and a restart, so it gets few.
MAX_PROBES = 80
MAX_HANG_PROBES = 8

Fails = Callable[[Batch], str | None]


class Budget:
    """Counts probes down; a hang spends ten at once."""

    def __init__(self, probes: int = MAX_PROBES) -> None:
        self.left = probes

    def spend(self, problem: str | None) -> None:
        """Take one probe off, or a hang's share of the budget."""
        self.left -= MAX_PROBES // MAX_HANG_PROBES if problem and problem.startswith("hangs") else 1


def narrow(batch: Batch, fails: Fails, budget: Budget, *, suspect: int | None = None) -> Batch:
    """Return the smallest part of *batch* found to fail: one row, unless only several rows together fail.

    Args:
        batch: It fails.
        fails: Returns the problem of a batch, or `None`.
        budget: Probes to spend.
        suspect: Row that the answer itself gives away.
    """
    if suspect is not None and suspect < len(batch):
        alone = batch.take([suspect])
        problem = fails(alone)
        budget.spend(problem)
        if problem is not None:
            return alone
    while len(batch) > 1 and budget.left > 0:
        middle = len(batch) // 2
        for part in (range(middle), range(middle, len(batch))):
            half = batch.take(part)
            problem = fails(half)
            budget.spend(problem)
            if problem is not None:
                batch = half
                break
        else:
            return batch  # neither half fails alone: the rows fail together
    return batch


def answered(client: ScoringClient, batch: Batch) -> Batch | None:
    """Return the rows of *batch* that are answered one by one and together, or `None`."""
    budget = Budget()
    good: list[int] = []
    for index in range(len(batch)):
        if budget.left <= 0:
            break
        problem = problem_of(client.score(batch.take([index])), None, rows=1)
        budget.spend(problem)
        good += [index] if problem is None else []
    kept = batch.take(good)
    return kept if good and rows_or_none(client.score(kept)) is not None else None


def simplify(row: Batch, space: InputSpace, fails: Fails, budget: Budget) -> Batch:
    """Return *row* (a batch of one) with every column as simple as it can be while it still fails."""
    if row.columns is None or len(row) != 1:
        return row
    for domain in space.domains:
        value_now = row.rows[0][row.columns.index(0 if domain.name is None else domain.name)]
        for value in domain.simpler(value_now):
            if budget.left <= 0:
                return row
            candidate = row.with_value(domain.name, value)
            problem = fails(candidate)
            budget.spend(problem)
            if problem is not None:
                row = candidate
                break
    return row
