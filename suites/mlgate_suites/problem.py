"""What a claim is, and what it says where it does not hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.scoring.answers import Answer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate_suites.findings import rows_or_none

Request = tuple[bytes, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with the answers to a batch.

    Attributes:
        text: In words, without the batch.
        answers: The answers that it was seen in, in the order of the requests.
        requests: Body and content type of each.
        row: Place of a row that the answers give away; `None` where they do not.
        rows: Places of all rows that the claim does not hold of, where the claim can tell each; for rates.
        hang: No answer came in time: each further probe costs a whole timeout.
    """

    text: str
    answers: tuple[Answer, ...] = ()
    requests: tuple[Request, ...] = ()
    row: int | None = None
    rows: tuple[int, ...] | None = None
    hang: bool = False

    @property
    def costs_the_server(self) -> bool:
        """Whether the server has to be started anew after it."""
        return self.hang or any(lost(answer) for answer in self.answers)


# Says what is wrong with the answers to a batch, or nothing. It may raise `Unanswered` or `Unpaired`.
Claim = Callable[[Batch], Problem | None]


class Unanswered(Exception):
    """A claim that compares answers got none for these rows: for `properties.total` to find, and nothing to compare.

    Args:
        answer: What came instead.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__("the rows are not answered")
        self.answer = answer


class Unpaired(Exception):
    """Only some rows of the batch have a partner that is a valid input; the claim can be asked of these.

    Args:
        rows: Their places.
    """

    def __init__(self, rows: tuple[int, ...]) -> None:
        super().__init__("some rows have no valid partner")
        self.rows = rows


def lost(answer: Answer) -> bool:
    """Whether the server has to be started anew after *answer*."""
    return answer.problem in {"timeout", "connection"} or answer.status == 504


def ask(client: ScoringClient, batch: Batch) -> tuple[Answer, Request]:
    """Return the answer to *batch*, and the request as it was sent."""
    body, content_type = client.protocol.encode(batch)
    return client.post(body, content_type=content_type), (body, content_type)


def ask_rows(client: ScoringClient, batch: Batch) -> tuple[Sequence[Any], Answer, Request]:
    """Return one prediction a row, with the answer and the request.

    Raises:
        Unanswered: The answer is no prediction, or has another number of rows.
    """
    answer, request = ask(client, batch)
    rows = rows_or_none(answer)
    if rows is None or len(rows) != len(batch):
        raise Unanswered(answer)
    return rows, answer, request
