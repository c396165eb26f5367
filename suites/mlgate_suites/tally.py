"""Counting: rows tried, rows that break a claim, rows that can not be compared."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlgate.scoring.payloads import Batch
from mlgate_suites.problem import Claim, Problem, Unanswered, Unpaired, lost
from mlgate_suites.shrink import Budget

# Over a whole search: rows that are not answered are another check's to narrow down.
_ASIDE_PROBES = 60
_ASIDE_HANGS = 4
_COUNT_PROBES = 400


@dataclass(slots=True)
class Tally:
    """What was tried so far.

    Attributes:
        batches: Rows and broken rows of each batch.
        unanswered: Rows that could not be compared, since they are not answered.
        unpaired: Rows without a partner that is a valid input.
        aside: Probes to find the rows that can be, among those that can not.
        counting: Probes to find how many rows of a batch break the claim.
    """

    batches: list[tuple[int, int]] = field(default_factory=list)
    unanswered: int = 0
    unpaired: int = 0
    aside: Budget = field(default_factory=lambda: Budget(_ASIDE_PROBES, _ASIDE_HANGS))
    counting: Budget = field(default_factory=lambda: Budget(_COUNT_PROBES))

    @property
    def rows(self) -> int:
        """Rows tried."""
        return sum(rows for rows, _ in self.batches)

    @property
    def stopped(self) -> bool:
        """Whether the server was lost too often to go on: that is another check's to report."""
        return self.aside.hangs_left <= 0

    def asked(self, claim: Claim, batch: Batch) -> Iterator[tuple[Batch, Problem | None]]:
        """Yield what the claim says of *batch*, or of the parts of it that can be compared."""
        if self.stopped:
            self.unanswered += len(batch)
            return
        try:
            problem = claim(batch)
        except Unpaired as error:
            self.unpaired += len(batch) - len(error.rows)
            if 0 < len(error.rows) < len(batch):
                yield from self.asked(claim, batch.take(error.rows))
            return
        except Unanswered as error:
            self.aside.left -= 1
            self.aside.hangs_left -= lost(error.answer)
            if len(batch) == 1 or not self.aside.open:
                self.unanswered += len(batch)
                return
            middle = len(batch) // 2
            yield from self.asked(claim, batch.take(range(middle)))
            yield from self.asked(claim, batch.take(range(middle, len(batch))))
            return
        yield batch, problem

    def add(self, batch: Batch, problem: Problem | None, claim: Claim) -> None:
        """Count *batch*, and the rows of it that break the claim."""
        self.batches.append((len(batch), 0 if problem is None else self._broken(batch, problem, claim)))

    def _broken(self, batch: Batch, problem: Problem, claim: Claim) -> int:
        """Return how many rows break the claim; all that no probe is left for, or that break it together."""
        if problem.rows is not None:
            return len(problem.rows)
        if len(batch) == 1:
            return 1
        middle = len(batch) // 2
        found = 0
        for half in (batch.take(range(middle)), batch.take(range(middle, len(batch)))):
            if not self.counting.open:
                return len(batch)
            try:
                part = claim(half)
            except (Unanswered, Unpaired):
                part = None
            self.counting.spend(part)
            found += 0 if part is None else self._broken(half, part, claim)
        return found or len(batch)
