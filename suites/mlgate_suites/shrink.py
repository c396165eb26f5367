"""From a failing batch to few rows, and from these to few values that are not the default."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from mlgate.errors import ServerError
from mlgate.generation.domain import ValueDomain
from mlgate.generation.input_space import InputSpace
from mlgate.generation.tensor import TensorDomain
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate_suites.cells import Cell, not_default, value_at, with_values
from mlgate_suites.findings import problem_of, rows_or_none
from mlgate_suites.problem import Claim, Problem, Unanswered, Unpaired
from mlgate_suites.strategies import hypothesis_home

# A crash costs milliseconds a probe; a hang costs the whole request timeout and a restart, so it gets few.
MAX_PROBES = 250
MAX_HANG_PROBES = 8
# Parts to cut into where each failing probe costs a server: of 500 rows one is left after three of them.
HANG_PARTS = 16
_FIND_EXAMPLES = 60
_ANSWERED_PROBES = 80


class Budget:
    """Counts probes down; those that cost the server its life are counted on their own.

    Args:
        probes: Requests that may be spent.
        hangs: Those of them that may hang or lose the server.
    """

    def __init__(self, probes: int = MAX_PROBES, hangs: int = MAX_HANG_PROBES) -> None:
        self.left, self.hangs_left = probes, hangs
        self.spent = 0

    @property
    def open(self) -> bool:
        """Whether another probe may be made."""
        return self.left > 0 and self.hangs_left > 0

    def spend(self, problem: Problem | None) -> None:
        """Take one probe off."""
        self.spent += 1
        self.left -= 1
        if problem is not None and problem.costs_the_server:
            self.hangs_left -= 1


@dataclass(slots=True)
class Probe:
    """Asks a claim within a budget, and keeps the smallest batch that broke it.

    Attributes:
        claim: Returns the problem of a batch, or `None`.
        budget: Probes to spend.
        batch: Breaks the claim.
        problem: Of *batch*.
    """

    claim: Claim
    budget: Budget
    batch: Batch
    problem: Problem

    def fails(self, batch: Batch) -> bool:
        """Whether *batch* breaks the claim, and is kept; `False` as well where the budget is spent."""
        problem = self.problem_of(batch)
        if problem is not None:
            self.batch, self.problem = batch, problem
        return problem is not None

    def problem_of(self, batch: Batch) -> Problem | None:
        """Return what the claim says of *batch*, within the budget."""
        if not self.budget.open:
            return None
        try:
            problem = self.claim(batch)
        except (Unanswered, Unpaired):
            problem = None
        except ServerError:
            # It does not come back: what was found so far is the finding, and not that it is gone.
            self.budget.left = 0
            return None
        self.budget.spend(problem)
        return problem


def ddmin(items: Sequence[int], fails: Callable[[Sequence[int]], bool], *, parts: int = 2) -> list[int]:
    """Return a part of *items* that fails, and of which no small piece can be left out.

    Zeller and Hildebrandt, Simplifying and isolating failure-inducing input (2002), IEEE TSE 28:183: subsets, then
    complements, then a finer cut. What fails only together is found too.

    Args:
        items: They fail.
        fails: Whether some of them do, in their order.
        parts: How many parts to begin with; more of them where a failing probe is dearer than a passing one.
    """
    left, cut = list(items), min(parts, len(items))
    while len(left) > 1:
        chunks = _chunks(left, cut)
        smaller = next((chunk for chunk in chunks if fails(chunk)), None)
        if smaller is not None:
            left, cut = smaller, min(parts, len(smaller))
            continue
        rests = [[item for item in left if item not in set(chunk)] for chunk in chunks] if cut > 2 else []
        smaller = next((rest for rest in rests if fails(rest)), None)
        if smaller is not None:
            left, cut = smaller, min(max(cut - 1, 2), len(smaller))
        elif cut >= len(left):
            return left
        else:
            cut = min(2 * cut, len(left))
    return left


def _chunks(items: list[int], count: int) -> list[list[int]]:
    ends = [len(items) * place // count for place in range(count + 1)]
    return [items[start:end] for start, end in pairwise(ends) if start < end]


def narrow(probe: Probe) -> None:
    """Bring the probe's batch down to one row, unless only several rows together fail."""
    whole = probe.batch
    suspects = [place for place in (probe.problem.row, *(probe.problem.rows or ())[:1]) if place is not None]
    for place in dict.fromkeys(suspects):
        if place < len(whole) and len(whole) > 1 and probe.fails(whole.take([place])):
            return
    ddmin(range(len(whole)), lambda places: probe.fails(whole.take(places)), parts=_parts(probe))


def _parts(probe: Probe) -> int:
    return HANG_PARTS if probe.problem.costs_the_server else 2


def simplify(probe: Probe, space: InputSpace, *, seed_value: int, folder: Path | None = None) -> None:
    """Make every value of the probe's rows as simple as it can be while the claim stays broken.

    First values go to their default, all at once where that is enough; then hypothesis searches among the default,
    simpler values and the failing one of what is left, and shrinks what it finds: it can not shrink a row that was
    handed in from outside. Last, the elements of tensors: a picture has thousands, of which few are to blame.
    """
    _reset(probe, space)
    _find_simpler(probe, space, seed_value, folder)
    for cell in not_default(probe.batch, space):
        _thin(probe, space, cell)


def _reset(probe: Probe, space: InputSpace) -> None:
    rows, cells = probe.batch, not_default(probe.batch, space)

    def fails(kept: Sequence[int]) -> bool:
        places = set(range(len(cells))) - set(kept)
        values = {cells[place]: space.domains[cells[place][1]].default for place in places}
        candidate = with_values(rows, space, values)
        return space.holds(candidate) and probe.fails(candidate)

    if cells and not fails([]):
        ddmin(range(len(cells)), fails, parts=_parts(probe))


def _thin(probe: Probe, space: InputSpace, cell: Cell) -> None:
    """Make the elements of a tensor plain that are not to blame."""
    domain = space.domains[cell[1]]
    if not isinstance(domain, TensorDomain):
        return
    rows, tensor = probe.batch, value_at(probe.batch, space, cell)
    places = domain.special(tensor)

    def fails(kept: Sequence[int]) -> bool:
        thinner = domain.plain_but(tensor, [places[place] for place in kept])
        candidate = with_values(rows, space, {cell: thinner})
        return space.holds(candidate) and probe.fails(candidate)

    ddmin(range(len(places)), fails, parts=_parts(probe))


def _find_simpler(probe: Probe, space: InputSpace, seed_value: int, folder: Path | None) -> None:
    rows = probe.batch
    choices = {
        cell: _simplest_first(space.domains[cell[1]], value_at(rows, space, cell)) for cell in not_default(rows, space)
    }
    if not choices or not probe.budget.open:
        return
    last = tuple(len(values) - 1 for values in choices.values())
    tried: dict[tuple[int, ...], tuple[Batch, Problem] | None] = {last: (rows, probe.problem)}

    def picked(draw: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(min(pick, most) for pick, most in zip(draw, last, strict=True))

    def fails(draw: tuple[int, ...]) -> bool:
        picks = picked(draw)
        if picks not in tried:
            values = {cell: choices[cell][pick] for cell, pick in zip(choices, picks, strict=True)}
            candidate = with_values(rows, space, values)
            problem = probe.problem_of(candidate) if space.holds(candidate) else None
            tried[picks] = None if problem is None else (candidate, problem)
        return tried[picks] is not None

    found = tried[picked(_smallest(last, fails, seed_value, folder))]
    if found is not None:
        probe.batch, probe.problem = found


def _smallest(
    last: tuple[int, ...], fails: Callable[[tuple[int, ...]], bool], seed_value: int, folder: Path | None
) -> tuple[int, ...]:
    """Return the smallest choices that hypothesis finds to fail; *last*, the failing values, do."""
    # The failing value is as likely as all others together: choices that fail are then soon drawn.
    drawn = st.tuples(*(st.integers(0, 2 * most) for most in last))
    limits = settings(
        max_examples=_FIND_EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    with hypothesis_home(folder):
        try:
            return find(drawn, fails, settings=limits, random=Random(seed_value))  # noqa: S311  (no secret)
        except NoSuchExample:
            return last


def _simplest_first(domain: ValueDomain, value: Any) -> list[Any]:
    simpler = [other for other in domain.simpler(value) if other not in (value, domain.default)]
    return [domain.default, *simpler, value]


def answered(client: ScoringClient, batch: Batch) -> Batch | None:
    """Return the rows of *batch* that are answered one by one and together, or `None`."""
    budget = Budget(_ANSWERED_PROBES)
    good: list[int] = []
    for index in range(len(batch)):
        if not budget.open:
            break
        answer = client.score(batch.take([index]))
        budget.spend(None if rows_or_none(answer) is not None else Problem(text="", answers=(answer,)))
        good += [index] if problem_of(answer, None, rows=1) is None else []
    kept = batch.take(good)
    return kept if good and rows_or_none(client.score(kept)) is not None else None
