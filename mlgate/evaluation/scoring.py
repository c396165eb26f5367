"""Score evaluation data with a running server: every row answered, or the row that was not is named."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlgate.artifacts.signature import Schema
from mlgate.errors import ServerError
from mlgate.evaluation.conformance import bad_row
from mlgate.quantities import format_number
from mlgate.scoring.answers import Answer, NotAPrediction
from mlgate.scoring.payloads import Batch

# Eleven requests narrow a thousand rows down to one; a few more are for a server that is only slow.
MAX_FAILED = 16
_TELL_EVERY_S = 10.0

Tell = Callable[[str], None]


class NotScored(Exception):
    """Some row of the evaluation data got no valid prediction; the text names it."""


class ScoringLost(Exception):
    """What scores the rows is at fault, and no model."""


class Scores(Protocol):
    """The part of `ScoringClient` that is asked here."""

    def score(self, batch: Batch) -> Answer:
        """Ask for the predictions of *batch*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringFacts:
    """What scoring took.

    Attributes:
        rows: Rows answered.
        seconds: From the first request to the last answer, without what was done with the answers.
        requests: Requests sent.
        failed: Those without a valid answer, whose rows were asked again in smaller requests.
    """

    rows: int
    seconds: float
    requests: int
    failed: int


def score_data(
    client: Scores,
    batches: Iterable[Batch],
    outputs: Schema | None,
    take: Callable[[list[Any]], object],
    *,
    name_row: Callable[[int], str],
    progress: "Progress | None" = None,
    first_row: int = 0,
) -> ScoringFacts:
    """Have every row answered, in the rows' order.

    Args:
        client: Asks the server.
        batches: The features.
        outputs: The output signature; each answer is held to it.
        take: Gets the answers to the next rows, one a row.
        name_row: Says which row an index is, with its key.
        progress: Told of every batch.
        first_row: Index of the first row, for its name: some engines ask for a part only.

    Raises:
        NotScored: A row was refused, crashed the model, or has an answer against the output signature. Dropping it
            would compare the models on the easy rows only.
    """
    scoring = _Scoring(client=client, outputs=outputs, name_row=name_row, done=first_row)
    for batch in batches:
        for rows in scoring.answers(batch):
            take(rows)
            if progress is not None:
                progress.advance(len(rows))
    done = scoring.done - first_row
    return ScoringFacts(rows=done, seconds=scoring.seconds, requests=scoring.requests, failed=scoring.failed)


@dataclass(slots=True, kw_only=True)
class Progress:
    """Tells now and then how far it is.

    Attributes:
        what: What is done: `scoring the challenger`.
        total: Rows.
        tell: Takes one line.
        clock: Seconds; for tests.
    """

    what: str
    total: int
    tell: Tell
    clock: Callable[[], float] = time.monotonic
    _done: int = 0
    _began: float | None = None
    _told: float = 0.0

    def advance(self, rows: int) -> None:
        """Note *rows* more; a line at most every ten seconds, so that a short run says nothing."""
        now = self.clock()
        if self._began is None:
            self._began = self._told = now
            self._done += rows
            return
        self._done += rows
        if now - self._told < _TELL_EVERY_S:
            return
        self._told = now
        rate = self._done / (now - self._began)
        done, total = format_number(self._done), format_number(self.total)
        self.tell(f"{self.what}: {done} of {total} rows, {format_number(round(rate))} rows/s")


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a request has no valid answer; *row* of it where the answer itself tells."""

    text: str
    row: int | None = None
    slow: bool = False


@dataclass(slots=True, kw_only=True)
class _Scoring:
    client: Scores
    outputs: Schema | None
    name_row: Callable[[int], str]
    done: int = 0
    seconds: float = 0.0
    requests: int = 0
    failed: int = 0
    # Becomes smaller when a server can not answer as many rows in time.
    most_rows: int = field(default=2**31)

    def answers(self, batch: Batch) -> Iterator[list[Any]]:
        """Yield the answers to *batch*, in pieces as they come.

        A request without a valid answer is asked again in halves: that leads to the first row at fault, and a server
        that is only slow gets smaller requests from then on.
        """
        waiting = [batch]
        while waiting:
            asked = waiting.pop()
            if len(asked) > self.most_rows:
                waiting += _halves(asked)
                continue
            found = self._ask(asked)
            if not isinstance(found, _Fault):
                self.done += len(asked)
                yield found
                continue
            if found.row is not None:
                raise NotScored(f"{self.name_row(self.done + found.row)}: {found.text}")
            if len(asked) == 1:
                raise NotScored(f"{self.name_row(self.done)}: {found.text}")
            if self.failed >= MAX_FAILED:
                first, last = self.done, self.done + len(asked) - 1
                raise NotScored(f"rows {first} to {last}: {found.text} ({self.failed} requests failed)")
            if found.slow:
                self.most_rows = (len(asked) + 1) // 2
            waiting += _halves(asked)

    def _ask(self, batch: Batch) -> list[Any] | _Fault:
        self.requests += 1
        began = time.perf_counter()
        try:
            answer = self.client.score(batch)
        except ServerError as error:
            where = f"{self.name_row(self.done)} or one of the {len(batch) - 1} rows after it" if len(batch) > 1 else self.name_row(self.done)  # fmt: skip
            raise NotScored(f"{where}: the server does not come back: {error}") from error
        finally:
            self.seconds += time.perf_counter() - began
        fault = self._fault(answer, batch)
        self.failed += isinstance(fault, _Fault)
        return fault

    def _fault(self, answer: Answer, batch: Batch) -> list[Any] | _Fault:
        try:
            rows = answer.rows()
        except NotAPrediction as error:
            return _Fault(str(error), slow=answer.problem in {"timeout", "too_large"} or answer.status in {413, 504})
        if len(rows) != len(batch):
            return _Fault(f"{len(rows)} predictions for {len(batch)} rows")
        bad = bad_row(rows, self.outputs)
        return rows if bad is None else _Fault(bad[1], row=bad[0])


def _halves(batch: Batch) -> list[Batch]:
    """Return the second half and the first, to be taken from the end."""
    middle = len(batch) // 2
    return [batch.take(range(middle, len(batch))), batch.take(range(middle))]
